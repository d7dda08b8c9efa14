#!/usr/bin/env bash
# Makes a thousand live edits, a third of them broken, under a client at full speed; an ordinary
# test run makes sixty. Prints the numbers of edits and answers, and the memory and descriptors.
# For another number: tests/alone/soak.sh 5000
set -euo pipefail
cd "$(dirname "$0")/../.."
SOAK_EDITS=${1:-1000} cargo test --release --locked --test alone soak:: -- --nocapture
