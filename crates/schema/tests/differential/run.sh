#!/usr/bin/env bash
# The walks against other implementations, over mutated payloads:
#
#   crates/schema/tests/differential/run.sh [PROTOBUF [JSON [MSGPACK [SEED]]]]
#
# How many mutations of each; by default ten million of protobuf, half an hour in all. Ends with 1 if
# they differ in anything but the policy that is documented.
set -euo pipefail
cd "$(dirname "$0")/../../../.."

protobuf=${1:-10000000} json=${2:-1000000} msgpack=${3:-2000000} seed=${4:-1}
tests/venv.sh
cargo build --quiet --release --locked -p gateway-schema --example verdicts
exec target/python/bin/python crates/schema/tests/differential/compare.py \
    "${CARGO_TARGET_DIR:-target}/release/examples/verdicts" "$seed" \
    "protobuf=$protobuf" "json=$json" "msgpack=$msgpack"
