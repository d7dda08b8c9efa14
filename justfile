# Short names for the project's scripts: `just NAME`. `just` alone lists them.

default:
    @just --list

# Show the gateway at work.
demo:
    cargo demo

# Run the tests.
test *ARGS:
    cargo test {{ARGS}}

# Format everything.
fmt:
    cargo fmt --all
    cargo fmt --manifest-path tests/peers/rust/Cargo.toml
    cargo fmt --manifest-path examples/rust/Cargo.toml

# Lint everything, with warnings as errors.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy --package gateway --no-default-features --locked -- -D warnings

# Run the whole of CI on this machine (about 30 minutes on two cores).
ci:
    .ci/run

# Build the pages as a book in target/book/html, and check its links.
book:
    docs/book/build.sh

# Run the test programs that start a gateway, on engine libzmq.
libzmq:
    .ci/libzmq

# Run clients and workers of other ZeroMQ libraries against the gateway.
peers *CASES:
    tests/peers/libraries.sh {{CASES}}

# Compare the walks with other decoders over mutated payloads.
differential *ARGS:
    crates/schema/tests/differential/run.sh {{ARGS}}

# Fuzz each target for so many seconds.
fuzz SECONDS="60" *TARGETS:
    fuzz/run.sh {{SECONDS}} {{TARGETS}}

# Compare the instruction counts of the hot path with the committed ones (`bless` writes new ones).
instructions *ARGS:
    tests/instructions.sh {{ARGS}}

# Check licences, sources and versions of the dependencies.
deny:
    .ci/deny
