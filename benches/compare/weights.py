"""The files that are measured: random weights of one shape, in each format. Made once, and kept in target/compare."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hugging_face

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = ROOT / "target" / "compare"
QAIO = ROOT / "target" / "release" / "qaio"


@dataclass(frozen=True)
class Weights:
    """One file for each format; the numbers of all of them come from the one in BF16."""

    bf16: Path
    q8_0: Path
    q4_0: Path
    q4_k_m: Path
    directory: Path


def make(shape: str) -> Weights:
    """Makes what is not there yet."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)

    def place(format: str) -> Path:
        return DIRECTORY / f"{shape}-{format}"

    files = Weights(
        place("bf16.gguf"), place("q8_0.gguf"), place("q4_0.gguf"), place("q4_k_m.gguf"), place("bf16")
    )
    bf16 = files.bf16
    noise = [QAIO, "bench", "--shape", shape, "--precision", "bf16", "--quick", "--repeat", "1", "--save", bf16]
    missing(bf16, lambda: run(*noise))
    missing(files.q8_0, lambda: run(QAIO, "quantize", bf16, files.q8_0, "--to", "q8_0"))
    missing(files.q4_0, lambda: run(QAIO, "quantize", bf16, files.q4_0, "--to", "q4_0"))
    # llama.cpp's own mixture, made in a process of its own, since it says much.
    missing(files.q4_k_m, lambda: run(sys.executable, __file__, bf16, files.q4_k_m))
    missing(files.directory, lambda: hugging_face.convert(bf16, files.directory))
    return files


def missing(path: Path, make: Callable[[], object]) -> None:
    """Makes `path`, unless it is there."""
    if not path.exists():
        print(f"making {path.relative_to(ROOT)}", file=sys.stderr, flush=True)
        make()


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")


def quantize_to_q4_k_m(source: Path, output: Path) -> None:
    """Through llama.cpp."""
    import llama_cpp

    part = output.with_name(output.name + ".part")
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M
    if llama_cpp.llama_model_quantize(bytes(source), bytes(part), parameters) != 0:
        raise SystemExit(f"llama.cpp does not quantise {source}")
    part.rename(output)


if __name__ == "__main__":
    quantize_to_q4_k_m(Path(sys.argv[1]), Path(sys.argv[2]))
