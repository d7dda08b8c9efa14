#!/usr/bin/env bash
# Fuzzes the code that reads foreign bytes: fuzz/run.sh [SECONDS [TARGET…]]
#
# Runs each target for SECONDS (10). A target is a file fuzz_targets/TARGET.rs in crates/*/fuzz or
# in fuzz. TARGET+FEATURE builds it with a feature of its crate. Without TARGET, all targets run,
# the target of CURVE also with libsodium. Needs only stable Rust, a compiler for C and C++, and
# make: rustc gets the coverage flags of cargo-fuzz and no sanitizer. A sanitizer would need nightly
# Rust, and could only check the calls of libsodium. With cargo-fuzz installed, `cargo fuzz run -s
# none TARGET` in a crate does the same. All builds share fuzz/target. Each fuzz folder keeps the
# corpus of a target in corpus/TARGET/, and the findings in artifacts/TARGET/.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-10}
shift || true

# The file of each target, by name.
declare -A files
for file in crates/*/fuzz/fuzz_targets/*.rs fuzz/fuzz_targets/*.rs; do
    [[ -e $file ]] || continue
    files[$(basename "$file" .rs)]=$file
done
if [[ $# -eq 0 ]]; then
    mapfile -t names < <(printf '%s\n' "${!files[@]}" sealed+sodium | sort)
    set -- "${names[@]}"
fi
for target in "$@"; do
    [[ -n ${files[${target%+*}]:-} ]] || { echo "there is no fuzz target $target" >&2; exit 1; }
done

export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
export CARGO_TARGET_DIR=$PWD/fuzz/target
host=$(rustc -vV | sed -n 's/^host: //p')

for run in "$@"; do
    target=${run%+*}
    features=()
    [[ $run == "$target" ]] || features=(--features "${run#*+}")
    folder=$(dirname "$(dirname "${files[$target]}")")
    # Without --locked, because the lock file may be older than the crate's latest dependencies.
    # With --target, build scripts and macros are built without the flags in RUSTFLAGS.
    cargo build --quiet --release --target "$host" --manifest-path "$folder/Cargo.toml" --bin "$target" "${features[@]}"
    echo "== fuzz $run, $seconds s"
    mkdir -p "$folder/corpus/$target" "$folder/artifacts/$target"
    seeds=()
    [[ -d $folder/seeds/$target ]] && seeds=("$folder/seeds/$target")
    "$CARGO_TARGET_DIR/$host/release/$target" -max_total_time="$seconds" -max_len=4096 -timeout=5 \
        -rss_limit_mb=1024 -artifact_prefix="$folder/artifacts/$target/" -print_final_stats=1 -verbosity=0 \
        "$folder/corpus/$target" "${seeds[@]}"
done
