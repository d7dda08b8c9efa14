#!/usr/bin/env bash
# Fuzzes what reads foreign bytes: fuzz/run.sh [SECONDS [TARGET…]]
#
# SECONDS (10) for each target, or for each file in fuzz_targets/ if none is named. Needs nothing but stable
# Rust and a C++ compiler: coverage is asked of rustc by the flags that cargo-fuzz gives it, and no
# sanitizer, which would need nightly, for there is no unsafe code to watch. With cargo-fuzz installed,
# `cargo fuzz run -s none TARGET` does the same. What is found lies in fuzz/artifacts/TARGET/.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-10}
shift || true
if [[ $# -eq 0 ]]; then
    for file in fuzz_targets/*.rs; do set -- "$@" "$(basename "$file" .rs)"; done
fi

export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
export CARGO_TARGET_DIR=$PWD/target
host=$(rustc -vV | sed -n 's/^host: //p')
# Not --locked: what the gateway depends on may have grown since this lock was written. With a target
# named, build scripts and macros go without these flags.
cargo build --quiet --release --target "$host" --bins

for target in "$@"; do
    echo "== fuzz $target, $seconds s"
    mkdir -p "corpus/$target" "artifacts/$target"
    seeds=()
    [[ -d seeds/$target ]] && seeds=("seeds/$target")
    "target/$host/release/$target" -max_total_time="$seconds" -max_len=4096 -timeout=5 -rss_limit_mb=1024 \
        -artifact_prefix="artifacts/$target/" -print_final_stats=1 -verbosity=0 \
        "corpus/$target" "${seeds[@]}"
done
