#!/usr/bin/env bash
# Compares the round trips of an honest client during 10,000 HELLOs a second from one address with
# its round trips while the same HELLOs go to another gateway. The 99th percentile may differ by 2
# ms at most. The machine should be idle. The argument is the number of seconds:
# tests/hostile/hellos.sh 60
set -euo pipefail
source "$(dirname "$0")/compare.sh"
export HELLOS_SECONDS=${1:-30}
compare hellos_a_second HELLOS_CONTROL 2000 "HELLOs" "HELLOs to another gateway"
