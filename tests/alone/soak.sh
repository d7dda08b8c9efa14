#!/usr/bin/env bash
# A thousand live edits, a third of them broken, under a client at full speed; the test run makes a hundred
# and fifty. Prints what was edited, answered, and how memory and descriptors went. Another number: tests/alone/soak.sh 5000
set -euo pipefail
cd "$(dirname "$0")/../.."
SOAK_EDITS=${1:-1000} cargo test --release --locked --test alone soak:: -- --nocapture
