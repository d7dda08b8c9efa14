#!/usr/bin/env bash
# Compares the round trips of an honest client during a flood of the payloads that take longest to
# check with its round trips while other programs do as much work. The 99th percentile may differ by
# 5 ms at most. The machine should be idle. The argument is the number of seconds:
# tests/hostile/p99.sh 300
set -euo pipefail
source "$(dirname "$0")/compare.sh"
export JUDGED_SECONDS=${1:-60} JUDGED_TURN_MAX=0.25
compare judged:: JUDGED_CONTROL 5000 "the flood" "other work"
