#!/usr/bin/env bash
# Runs all attacks at once for an hour, at low priority, with honest peers. An ordinary test run
# does so for a few seconds. No message of the honest peers may be lost, 99 % of the client's round
# trips may take at most 20 ms, and the memory must be constant and within its bound. The machine
# should be idle. The argument is the number of seconds: tests/hostile/hour.sh 300
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --locked --bin gateway
export GATEWAY=${GATEWAY:-$PWD/target/release/gateway}
TOGETHER_SECONDS=${1:-3600} TOGETHER_P99_MS=20 \
    cargo test --locked --test hostile together:: -- --nocapture
