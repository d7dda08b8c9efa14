#!/usr/bin/env bash
# Compares the instructions that a message takes with the committed numbers: runs `cargo bench
# --bench instructions` under valgrind. Root installs valgrind with apt-get if it is missing.
# `tests/instructions.sh bless` writes the numbers anew.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v valgrind > /dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        apt-get update --quiet --quiet
        apt-get install --quiet --yes valgrind
    else
        echo "valgrind is not installed: install it, then run $0 again" >&2
        exit 1
    fi
fi
cargo bench --locked --bench instructions -- "$@"
