#!/usr/bin/env bash
# Builds the fuzz targets and runs them, one after the other, each until it has had its executions or its seconds.
#
#     tests/fuzz/run.sh [SECONDS [TARGET…]]
#
# SECONDS is per target, 20 unless given. A finding is written to target/fuzz/<target>/ and ends the run. Needs a C++ compiler. What
# was found along the way stays in target/fuzz/<target>/corpus, and the next run goes on from it.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-20}
shift || true
targets=(gguf safetensors tokenizer config task options text)
if [ $# -gt 0 ]; then targets=("$@"); fi

# What cargo-fuzz passes too; the stable compiler knows all of it, only the address sanitizer needs a nightly one.
flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
flags+=' -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing'
# Naming the target keeps the flags away from build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS=$flags cargo build --release --manifest-path tests/fuzz/Cargo.toml --target-dir target/fuzz-build --target "$host"

for target in "${targets[@]}"; do
    case $target in
        gguf) seeds=(tests/fixtures/gguf/qwen2-tiny-q4_0.gguf) ;;
        safetensors) seeds=(tests/fixtures/qwen2-tiny-f16/model.safetensors) ;;
        tokenizer) seeds=(tests/fixtures/qwen2-tiny/tokenizer.json) ;;
        config) seeds=(tests/fixtures/qwen?-tiny/config.json) ;;
        task) seeds=(tasks/intent.json tasks/language.json tasks/sentiment.json) ;;
        *) seeds=(tests/fuzz/corpus/"$target"/*) ;;
    esac
    found=target/fuzz/$target
    mkdir -p "$found/corpus"
    for seed in "${seeds[@]}"; do cp "$seed" "$found/corpus/$(sha1sum "$seed" | cut -c1-40)"; done
    if ! "target/fuzz-build/$host/release/$target" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$found/" "$found/corpus" >"$found/log" 2>&1; then
        tail -n 40 "$found/log" >&2
        echo "tests/fuzz/run.sh: $target found something; the input is in $found" >&2
        exit 1
    fi
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found/log") executions"
done
