#!/usr/bin/env bash
# Makes a thousand live edits, a third of them broken, while a client sends requests at full speed.
# An ordinary test run makes sixty edits. Prints the numbers of edits and answers, and the memory
# and descriptors. The argument is the number of edits: tests/alone/soak.sh 5000
set -euo pipefail
cd "$(dirname "$0")/../.."
SOAK_EDITS=${1:-1000} cargo test --release --locked --test alone soak:: -- --nocapture
