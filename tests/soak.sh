#!/usr/bin/env bash
# The long form of what the tests and .ci/run do for seconds: about two hours, and the figures of docs/reliability.md.
#
#     tests/soak.sh [SECONDS]
#
# SECONDS is the length of each run, 600 unless given; each fuzz target gets as long. Needs cc, c++ and cargo.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}

echo "== one thread, then 16, for $seconds seconds each"
cargo build --release --workspace --lib
program=$(mktemp -d)
trap 'rm -r "$program"' EXIT
cc -std=c99 -O1 -g -pthread -Iinclude tests/c/soak.c -o "$program/soak" -Ltarget/release -lqaio -Wl,-rpath,"$PWD/target/release" -lm
"$program/soak" 1 "$seconds"
"$program/soak" 16 "$seconds"

echo "== fuzz targets, $seconds seconds each"
tests/fuzz/run.sh "$seconds"

echo "== every byte of a GGUF head to every value"
cargo test --release --workspace --test hostile_files -- --ignored
