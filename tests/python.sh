#!/usr/bin/env bash
# Real pyzmq peers against the real binary: tests/python.sh [CASE…]
#
# Makes a virtual environment under target/ and builds the binary, unless GATEWAY names one.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=target/python
requirements=examples/python/requirements.txt
if ! cmp --silent "$requirements" "$venv/installed.txt"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$venv/installed.txt"
fi

if [[ -z ${GATEWAY-} ]]; then
    cargo build --quiet --bin gateway
    GATEWAY=${CARGO_TARGET_DIR:-target}/debug/gateway
fi

GATEWAY=$GATEWAY exec "$venv/bin/python" tests/python_peers.py "$@"
