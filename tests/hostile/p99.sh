#!/usr/bin/env bash
# Compares the round trips of an honest client beside a flood of the payloads that take longest to
# check with those beside as much work of other programs. The 99th percentile may differ by 5 ms at
# most. The machine should be idle. The argument is the number of seconds: tests/hostile/p99.sh 300
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${GATEWAY:-}" ]; then
    cargo build --release --locked --bin gateway
    export GATEWAY=$PWD/target/release/gateway
fi
export JUDGED_SECONDS=${1:-60} JUDGED_TURN_MAX=0.25

measure() {
    cargo test --quiet --locked --test hostile judged:: -- --nocapture | tee /dev/stderr |
        sed -n 's/.*99 % within \([0-9]*\) us.*/\1/p'
}
control=$(JUDGED_CONTROL=1 measure)
flooded=$(measure)
echo "99 % of round trips within $flooded us beside the flood, and within $control us beside other work"
if [ $((flooded - control)) -gt 5000 ]; then
    echo "that is more than 5 ms longer" >&2
    exit 1
fi
