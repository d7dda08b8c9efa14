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
    # grpcio-tools carries protoc as a module. Its own command imports much more, and takes 44 ms to
    # start instead of 17.
    cat > "$venv/bin/protoc" <<END
#!$PWD/$venv/bin/python -E
import os, sys
from grpc_tools import _protoc_compiler
includes = os.path.join(os.path.dirname(_protoc_compiler.__file__), "_proto")
sys.exit(_protoc_compiler.run_main([os.fsencode(word) for word in [*sys.argv, "-I" + includes]]))
END
    chmod +x "$venv/bin/protoc"
    cp "$requirements" "$venv/installed.txt"
fi
