# Sourced by the other scripts of this directory, which compare the round trips of an honest client.

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ -z "${GATEWAY:-}" ]; then
    cargo build --release --locked --bin gateway
    export GATEWAY=$PWD/target/release/gateway
fi

# measure TEST: runs a test, and prints the 99th percentile of its round trips, in microseconds.
measure() {
    cargo test --quiet --locked --test hostile "$1" -- --nocapture | tee /dev/stderr |
        sed -n 's/.*99 % within \([0-9]*\) us.*/\1/p'
}

# compare TEST CONTROL MICROSECONDS FLOOD OTHER: runs the test twice, during FLOOD and during OTHER.
# The test runs OTHER if the variable CONTROL is set. Fails if the percentile during FLOOD is
# greater by more than MICROSECONDS.
compare() {
    local control flooded
    control=$(export "$2=1" && measure "$1")
    flooded=$(measure "$1")
    if [ -z "$control" ] || [ -z "$flooded" ]; then
        echo "the test $1 has printed no percentile" >&2
        return 1
    fi
    echo "99 % of round trips within $flooded us during $4, and within $control us during $5"
    if [ $((flooded - control)) -gt "$3" ]; then
        echo "the difference is more than $3 us" >&2
        return 1
    fi
}
