#!/usr/bin/env bash
# Tests the clients in examples/ that users copy, and the clients and workers of docs/security.md,
# each against the real binary: tests/peers/snippets.sh [CASE…]
#
# Builds the binary, unless GATEWAY names one. The programs in Python always run. The programs in
# Node run if Node and npm are installed, and those in C++, C and Rust if cppzmq and libzmq are
# installed. Root installs Debian's cppzmq-dev if it is missing. With PEERS_REQUIRED=1, a missing
# tool is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/venv.sh
target=${CARGO_TARGET_DIR:-target}
if [[ -z ${GATEWAY-} ]]; then
    cargo build --quiet --locked --bin gateway
    GATEWAY=$PWD/$target/debug/gateway
fi
snippets=$(realpath -m "$target/peers/snippets")
mkdir -p "$snippets"
commands=()
secured=python

if command -v node > /dev/null && command -v npm > /dev/null; then
    cp examples/node/calls.mjs tests/peers/node/package.json tests/peers/node/package-lock.json "$snippets"
    if ! cmp --silent "$snippets/package-lock.json" "$snippets/installed.json"; then
        (cd "$snippets" && npm ci --silent --no-audit --no-fund --ignore-scripts)
        cp "$snippets/package-lock.json" "$snippets/installed.json"
    fi
    commands+=("\"node\": [\"node\", \"$snippets/calls.mjs\"]")
    secured+=" node"
else
    echo "SKIPPED: Node's programs, because Node or npm is not installed"
    [[ -z ${PEERS_REQUIRED-} ]]
fi

has_cppzmq() { echo '#include <zmq_addon.hpp>' | c++ -std=c++17 -fsyntax-only -x c++ - 2> /dev/null; }
if ! has_cppzmq && [[ $(id -u) == 0 ]] && command -v apt-get > /dev/null; then
    apt-get update --quiet --quiet
    apt-get install --quiet --yes cppzmq-dev
fi
if has_cppzmq; then
    c++ -std=c++17 -Wall -Wextra -Werror examples/cpp/calls.cpp -lzmq -o "$snippets/calls"
    commands+=("\"cpp\": [\"$snippets/calls\"]")
    for program in client worker; do
        cc -std=c11 -Wall -Wextra -Werror -fsyntax-only "examples/c/secured_$program.c"
    done
    # The libraries are built here, so that the cases need not wait for that.
    (cd examples/rust && cargo build --quiet --locked --target-dir "$snippets/rust")
    secured+=" c rust"
else
    echo "SKIPPED: the programs in C++, C and Rust, because cppzmq is not installed"
    [[ -z ${PEERS_REQUIRED-} ]]
fi

all=$(IFS=,; echo "{${commands[*]-}}")
GATEWAY=$GATEWAY SNIPPETS=$all SECURED=$secured INSTALLED=$snippets exec target/python/bin/python tests/peers/snippets.py "$@"
