#!/usr/bin/env bash
# Compares the built-in compiler with protoc on googleapis: about 7,000 files from npm, in a pinned
# version.
set -euo pipefail
cd "$(dirname "$0")/../../.."

package=google-proto-files version=6.0.1
directory=target/real/$package-$version
if [ ! -d "$directory" ]; then
    mkdir -p target/real
    (cd target/real && npm pack --silent "$package@$version" >/dev/null)
    mkdir -p "$directory.part"
    tar -xzf "target/real/$package-$version.tgz" -C "$directory.part"
    mv "$directory.part" "$directory"
fi
tests/venv.sh
GATEWAY_TEST_PROTOC=$PWD/target/python/bin/protoc GATEWAY_REAL_PROTOS=$PWD/$directory/package \
    cargo test --release -p gateway-proto --test protoc published -- --nocapture
