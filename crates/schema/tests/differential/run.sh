#!/usr/bin/env bash
# Compares the walks with other implementations, over mutated payloads:
#
#   crates/schema/tests/differential/run.sh [PROTOBUF [JSON [MSGPACK [SEED]]]]
#
# PROTOBUF, JSON and MSGPACK are the numbers of mutations in each encoding (default 10,000,000,
# 1,000,000 and 2,000,000), and SEED starts the random number generators (default 1). With the
# default numbers, the run takes half an hour. Exits with 1 if the implementations differ in
# anything but the documented policies.
set -euo pipefail
cd "$(dirname "$0")/../../../.."

protobuf=${1:-10000000} json=${2:-1000000} msgpack=${3:-2000000} seed=${4:-1}
tests/venv.sh
cargo build --quiet --release --locked -p gateway-schema --example verdicts
exec target/python/bin/python crates/schema/tests/differential/compare.py \
    "${CARGO_TARGET_DIR:-target}/release/examples/verdicts" "$seed" \
    "protobuf=$protobuf" "json=$json" "msgpack=$msgpack"
