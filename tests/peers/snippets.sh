#!/usr/bin/env bash
# The clients to copy of examples/, each against the real binary: tests/peers/snippets.sh [CASE…]
#
# Builds the binary, unless GATEWAY names one. The clients in Python always run, those in Node if
# Node and npm are installed, and that in C++ if cppzmq is (Debian's cppzmq-dev, which is installed
# if that is allowed). With PEERS_REQUIRED=1, a missing tool is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/venv.sh
target=${CARGO_TARGET_DIR:-target}
if [[ -z ${GATEWAY-} ]]; then
    cargo build --quiet --locked --bin gateway
    GATEWAY=$PWD/$target/debug/gateway
fi
snippets=$target/peers/snippets
mkdir -p "$snippets"
commands=()

if command -v node > /dev/null && command -v npm > /dev/null; then
    cp examples/node/calls.mjs tests/peers/node/package.json tests/peers/node/package-lock.json "$snippets"
    if ! cmp --silent "$snippets/package-lock.json" "$snippets/installed.json"; then
        (cd "$snippets" && npm ci --silent --no-audit --no-fund --ignore-scripts)
        cp "$snippets/package-lock.json" "$snippets/installed.json"
    fi
    commands+=("\"node\": [\"node\", \"$snippets/calls.mjs\"]")
else
    echo "SKIPPED: Node's client, because there is no node with npm here"
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
else
    echo "SKIPPED: the client in C++, because there is no cppzmq here"
    [[ -z ${PEERS_REQUIRED-} ]]
fi

all=$(IFS=,; echo "{${commands[*]-}}")
GATEWAY=$GATEWAY SNIPPETS=$all exec target/python/bin/python tests/peers/snippets.py "$@"
