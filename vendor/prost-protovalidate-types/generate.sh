#!/usr/bin/env bash
# Writes src/generated/ anew from proto/. With --check it fails instead if that would change anything.
set -euo pipefail
cd "$(dirname "$0")"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-../../target/generate}
generate() { cargo run --quiet --locked --manifest-path generate/Cargo.toml -- "$@"; }
if [ "${1-}" != --check ]; then
    generate
    exit
fi
fresh=$(mktemp -d)
trap 'rm -r "$fresh"' EXIT
generate "$fresh"
diff -r src/generated "$fresh" || {
    echo "src/generated/ is not what proto/ gives: run $0" >&2
    exit 1
}
