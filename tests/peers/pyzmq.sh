#!/usr/bin/env bash
# Tests real pyzmq peers against the real binary: tests/peers/pyzmq.sh [CASE…]
#
# Builds the binary, unless GATEWAY names one. GATEWAY_TEST_ENGINE is the engine, by default native.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/venv.sh
if [[ -z ${GATEWAY-} ]]; then
    cargo build --quiet --bin gateway
    GATEWAY=${CARGO_TARGET_DIR:-target}/debug/gateway
fi
GATEWAY=$GATEWAY exec target/python/bin/python tests/peers/pyzmq.py "$@"
