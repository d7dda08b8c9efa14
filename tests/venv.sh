#!/usr/bin/env bash
# Creates a virtual environment under target/ with protoc and the packages of the Python examples
# and tests.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=target/python
requirements=examples/python/requirements.txt
if ! cmp --silent "$requirements" "$venv/installed.txt"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
    # grpcio-tools carries protoc as a module.
    printf '#!/bin/sh\nexec "%s/bin/python" -m grpc_tools.protoc "$@"\n' "$PWD/$venv" > "$venv/bin/protoc"
    chmod +x "$venv/bin/protoc"
    cp "$requirements" "$venv/installed.txt"
fi
