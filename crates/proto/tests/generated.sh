#!/usr/bin/env bash
# Compares the built-in compiler with protoc on generated files: generated.sh [CASES [SEED]]
#
# Ends when both agree on CASES (100,000) sets of files, or when ten sets are found on which they
# differ.
set -euo pipefail
cd "$(dirname "$0")/../../.."

tests/venv.sh
export GENERATED_CASES=${1:-100000} GENERATED_SEED=${2:-1}
GATEWAY_TEST_PROTOC=$PWD/target/python/bin/protoc \
    cargo test --release --locked -p gateway-proto --test protoc generated -- --nocapture
