#!/usr/bin/env bash
# Runs two tests with honest peers: the peers of channels that cause the most work, and then for a
# minute clients with the payloads that take longest to check. An ordinary test run sends each
# payload once. No turn of the data thread may take more than 5 ms. The machine should be idle. The
# argument is the number of seconds: tests/hostile/time.sh 600
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --locked --bin gateway
export GATEWAY=${GATEWAY:-$PWD/target/release/gateway} CHANNEL_TURN_MAX=0.005
cargo test --locked --test hostile long_work:: -- --nocapture
JUDGED_SECONDS=${1:-60} JUDGED_TURN_MAX=0.005 cargo test --locked --test hostile judged:: -- --nocapture
