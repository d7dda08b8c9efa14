#!/usr/bin/env bash
# Holds the instructions that a message costs to the committed numbers: `cargo bench --bench instructions`
# under valgrind, which is installed if it is missing and that is allowed. `tests/instructions.sh bless` writes
# them anew.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v valgrind > /dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        apt-get update --quiet --quiet
        apt-get install --quiet --yes valgrind
    else
        echo "valgrind is not here: install it, then run $0 again" >&2
        exit 1
    fi
fi
# What the compiler inlines depends on the path that it finds the sources at, by a tenth in the smallest walk:
# this one is the same for everybody.
place=/tmp/gateway-instructions
ln -sfn "$PWD" "$place"
trap 'rm -f "$place"' EXIT
cargo bench --locked --manifest-path "$place/Cargo.toml" --bench instructions -- "$@"
