#!/usr/bin/env bash
# Random expressions over random messages, evaluated by the gateway and by three other
# implementations of CEL: those of both release lines of PyPI's protovalidate, which are in Python
# and in Rust, and cel-cpp:
#
#   crates/schema/tests/oracle/expressions.sh [COUNT [SEED]]
#
# COUNT is the number of expressions (default 2,000). Exits with 1 if no other implementation agrees
# with a verdict of the gateway, or if cel-cpp refuses an expression that the gateway accepts.
set -euo pipefail
cd "$(dirname "$0")/../../../.."

count=${1:-2000} seed=${2:-1}
here=crates/schema/tests/oracle
target=${CARGO_TARGET_DIR:-target}
"$here/venvs.sh" 1 2 3
cargo build --quiet --release --locked -p gateway-schema --example rule_verdicts

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$target/oracle-1/bin/python" "$here/expressions.py" generate "$work" "$seed" "$count" > "$work/seeds"
"$target/release/examples/rule_verdicts" 0 "$seed" "$work" < "$work/seeds" > "$work/verdicts"
for line in 1 2; do
    "$target/oracle-$line/bin/python" "$here/expressions.py" judge "$work" "$line"
done
"$target/oracle-3/bin/python" "$here/expressions.py" judge_cpp "$work"
"$target/oracle-1/bin/python" "$here/expressions.py" compare "$work"
