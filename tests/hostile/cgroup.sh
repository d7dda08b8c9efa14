#!/usr/bin/env bash
# Runs all attacks on memory against a gateway in a cgroup whose limit is 512 MiB. The system kills
# a process that exceeds the limit. Needs the right to create a cgroup, which root usually has, and
# does nothing without that right.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! output=$(cargo test --locked --test hostile half_of_the_limit_of_the_cgroup -- --nocapture 2>&1); then
    echo "$output"
    exit 1
fi
if grep skipped <<< "$output"; then
    exit 0
fi
MEMORY_IN_CGROUP=1 cargo test --locked --test hostile all_peers_together_stay_within_the_bound -- --nocapture
