#!/usr/bin/env bash
# Creates virtual environments under target/: `venvs.sh NUMBER…`, where 1 and 2 stand for the two
# release lines of PyPI's protovalidate, and 3 for cel-cpp.
set -euo pipefail
cd "$(dirname "$0")/../../../.."

here=crates/schema/tests/oracle
target=${CARGO_TARGET_DIR:-target}
for line in "$@"; do
    venv=$target/oracle-$line
    if ! cmp --silent "$here/requirements-$line.txt" "$venv/installed.txt"; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements-$line.txt"
        cp "$here/requirements-$line.txt" "$venv/installed.txt"
    fi
done
