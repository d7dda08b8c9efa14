#!/usr/bin/env bash
# Tests the real binary with peers of other libraries: tests/peers/libraries.sh [CASE…]
#
# Builds the binary, unless GATEWAY names one, and installs the peers, pinned, under target/.
# GATEWAY_TEST_ENGINE names the engine (native). Python's pyzmq and the crate zeromq, which needs
# Rust 1.89, are always tested. Python's pyomq is tested if a built package exists, and Node's
# zeromq if Node and npm are installed. With PEERS_REQUIRED=1, a missing peer is an error. Without a
# CASE, 10,000 clients also connect to engine native, if the system allows the descriptors.
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/venv.sh
target=${CARGO_TARGET_DIR:-target}
if [[ -z ${GATEWAY-} ]]; then
    cargo build --quiet --locked --bin gateway
    GATEWAY=$target/debug/gateway
fi

peers="python rust"
cargo build --quiet --locked --manifest-path tests/peers/rust/Cargo.toml --target-dir "$target/peers/rust"

pyomq=$target/peers/pyomq
if ! cmp --silent tests/peers/python/requirements.txt "$pyomq/installed.txt"; then
    python3 -m venv "$pyomq"
    # A build from source would need more than Python.
    if "$pyomq/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r tests/peers/python/requirements.txt; then
        cp tests/peers/python/requirements.txt "$pyomq/installed.txt"
    fi
fi
if [[ -f $pyomq/installed.txt ]]; then
    peers+=" pyomq"
else
    echo "SKIPPED: the peers of pyomq, because there is no built package for this system"
    [[ -z ${PEERS_REQUIRED-} ]]
fi

node=$target/peers/node
if command -v node > /dev/null && command -v npm > /dev/null; then
    mkdir -p "$node"
    cp tests/peers/node/* "$node"
    if ! cmp --silent "$node/package-lock.json" "$node/installed.json"; then
        # The package includes a binary, so its build scripts need not run.
        (cd "$node" && npm ci --silent --no-audit --no-fund --ignore-scripts)
        cp "$node/package-lock.json" "$node/installed.json"
    fi
    peers+=" node"
else
    echo "SKIPPED: the peers of Node's zeromq, because Node or npm is not installed"
    [[ -z ${PEERS_REQUIRED-} ]]
fi

GATEWAY=$GATEWAY PEERS=$peers target/python/bin/python tests/peers/libraries.py "$@"

if [[ $# == 0 && ${GATEWAY_TEST_ENGINE-native} == native ]]; then
    clients=10000
    if ulimit -S -n $((clients + 1000)) 2> /dev/null; then
        GATEWAY_TEST_CLIENTS=$clients cargo test --locked --quiet --test wire crowd::
    else
        echo "SKIPPED: $clients clients, because the system grants $(ulimit -H -n) descriptors"
        [[ -z ${PEERS_REQUIRED-} ]]
    fi
fi
