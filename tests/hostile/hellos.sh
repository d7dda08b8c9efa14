#!/usr/bin/env bash
# Compares the round trips of an honest client beside 10,000 HELLOs a second of one address with those
# beside the same flood of another gateway. The 99th percentile may differ by 2 ms at most. The
# machine should be idle. The argument is the number of seconds: tests/hostile/hellos.sh 60
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${GATEWAY:-}" ]; then
    cargo build --release --locked --bin gateway
    export GATEWAY=$PWD/target/release/gateway
fi
export HELLOS_SECONDS=${1:-30}

measure() {
    cargo test --quiet --locked --test hostile hellos_a_second -- --nocapture | tee /dev/stderr |
        sed -n 's/.*99 % within \([0-9]*\) us.*/\1/p'
}
control=$(HELLOS_CONTROL=1 measure)
flooded=$(measure)
echo "99 % of round trips within $flooded us beside HELLOs, and within $control us beside those of another gateway"
if [ $((flooded - control)) -gt 2000 ]; then
    echo "that is more than 2 ms longer" >&2
    exit 1
fi
