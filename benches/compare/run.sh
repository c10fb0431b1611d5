#!/usr/bin/env bash
# Measures qaio beside llama.cpp, candle-transformers and PyTorch transformers, all on the same random weights, and writes
# docs/benchmarks.md and docs/benchmarks.json. From a clean clone, on a machine that does nothing else:
#
#     benches/compare/run.sh [--quick] [--shape NAME] [--threads N] [--only llama.cpp,candle,transformers]
#
# It needs Rust, a C++ compiler and Python 3.11 or newer. Weights (3 GB) and the Python environment (up to 6 GB, with the CPU
# build of torch 1 GB) are made in target/ once, and kept.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --release --workspace

environment=target/compare-venv
if ! cmp -s benches/compare/requirements.txt "$environment/installed"; then
    python3 -m venv "$environment"
    CMAKE_ARGS='-DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DLLAVA_BUILD=OFF' \
        "$environment/bin/pip" install --quiet --no-binary llama-cpp-python -r benches/compare/requirements.txt
    cp benches/compare/requirements.txt "$environment/installed"
fi

exec "$environment/bin/python" benches/compare/compare.py "$@"
