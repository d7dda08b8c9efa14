#!/usr/bin/env bash
# Measures the gateway's rules and other implementations of protovalidate in one run: first
# benches/rules.rs, and then, with the same messages in protobuf, prost-protovalidate,
# protovalidate-es in Node, and both release lines of PyPI's protovalidate. The other
# implementations validate a decoded message. The times of the gateway, and of the rows marked "a
# payload", are for encoded payloads.
set -euo pipefail
cd "$(dirname "$0")/../../../.."

here=crates/schema/benches/others
target=$PWD/${CARGO_TARGET_DIR:-target}
crates/schema/tests/oracle/venvs.sh 1 2
mkdir -p "$target/others"
cp "$here/package.json" "$here/es.mjs" "$target/others"
(cd "$target/others" && npm install --silent --no-audit --no-fund)
# The build script of prost-protovalidate runs protoc.
tests/venv.sh
PROTOC=$PWD/target/python/bin/protoc cargo build --quiet --release --locked \
    --manifest-path "$here/prost/Cargo.toml" --target-dir "$target/others/prost"
cargo bench --locked -p gateway-schema-benches --bench rules --no-run

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/rules.proto" "$work"
include=$("$target/oracle-1/bin/python" -c 'import grpc_tools, pathlib; print(pathlib.Path(grpc_tools.__file__).parent / "_proto")')
"$target/oracle-1/bin/python" -m grpc_tools.protoc -I"$work" -Icrates/proto/src/well_known -I"$include" \
    --include_imports --descriptor_set_out="$work/set" --python_out="$work" rules.proto buf/validate/validate.proto
cargo bench --quiet --locked -p gateway-schema-benches --bench rules
"$target/others/prost/release/gateway-bench-prost-protovalidate" "$work/set"
node "$target/others/es.mjs" "$work/set"
for line in 1 2; do
    "$target/oracle-$line/bin/python" "$here/python.py" "$work"
done
