#!/usr/bin/env bash
# Compares the gateway's verdicts on rules with those of both release lines of PyPI's protovalidate,
# for random and mutated payloads:
#
#   crates/schema/tests/oracle/run.sh [COUNT [SEED [EVERY]]]
#
# COUNT messages (default 1,000,000) and COUNT mutations of their payloads are judged in each
# encoding. Line 2, in Rust, judges all payloads. Line 1, in Python, takes about ten milliseconds
# for a payload, and judges one payload in EVERY (default 1). The messages are those of protos/.
# With PROTOVALIDATE_CASES=DIRECTORY, the messages of protovalidate's own cases, in
# buf/validate/conformance/cases below the directory, are judged, too. They have few rules, so both
# lines judge all of their payloads: `run.sh 500000 1 20` judges over two million of these payloads
# in about ten minutes. Exits with 1 if there is a difference that known.py does not list, or if the
# example of a listed difference in examples.jsonl does not show the difference.
set -euo pipefail
cd "$(dirname "$0")/../../../.."

count=${1:-1000000} seed=${2:-1} every=${3:-1}
here=crates/schema/tests/oracle
target=${CARGO_TARGET_DIR:-target}
"$here/venvs.sh" 1 2
cargo build --quiet --release --locked -p gateway-schema --example rule_verdicts

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The protos are compiled once, to modules that both lines read.
"$target/oracle-1/bin/python" "$here/generate.py" "$work" "$seed" "$count" ${PROTOVALIDATE_CASES:+"$PROTOVALIDATE_CASES"} > "$work/seeds"
"$target/release/examples/rule_verdicts" "$count" "$seed" "$work" < "$work/seeds" > "$work/verdicts"
failed=0
"$target/oracle-2/bin/python" "$here/judge.py" "$work" 1 2 || failed=1
"$target/oracle-1/bin/python" "$here/judge.py" "$work" "$every" 1 || failed=1
exit $failed
