"""On which machine and with which versions: without that a figure says little. And how fast it reads memory."""

from __future__ import annotations

import os
import platform
import subprocess
import threading
import time
import tomllib
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
#: Bytes that each thread reads, and that all of them together read at most; both pass the largest caches.
EACH, ALL = 1 << 30, 1 << 32
TIMES = 5


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def field(path: str, key: str) -> str:
    """The first value of `key` in a file of /proc."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "unknown")


def facts() -> dict[str, str]:
    """About the machine."""
    kib = field("/proc/meminfo", "MemTotal").split()[0]
    return {
        "processor": field("/proc/cpuinfo", "model name"),
        "cores": str(cores()),
        "memory": f"{int(kib) * 1024 / 1e9:.1f} GB" if kib.isdigit() else kib,
        "kernel": f"{platform.system()} {platform.release()}",
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def versions() -> dict[str, str]:
    """Of everything that is measured."""

    def said(*command: str) -> str:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()

    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    crates = {crate["name"]: crate["version"] for crate in lock}
    found = {"qaio": f"{crates['qaio']}, {said('git', 'describe', '--always', '--dirty') or 'no revision'}"}
    found["rustc"] = said("rustc", "--version").removeprefix("rustc ")
    found["candle-transformers"] = crates["candle-transformers"]
    found["python"] = platform.python_version()
    return found | {name: version(name) for name in ("llama-cpp-python", "torch", "transformers", "gguf", "numpy")}


def bandwidth(threads: int) -> float:
    """Bytes a second that so many threads read from memory together: each finds the largest of an array of its own of
    doubles (numpy, which reads faster than it adds), the best of several times."""
    count = min(EACH, ALL // threads) // 8
    arrays = [np.full(count, float(number)) for number in range(threads)]
    best = 0.0
    for _ in range(TIMES):
        together = threading.Barrier(threads + 1)

        def read(array: np.ndarray, together: threading.Barrier = together) -> None:
            together.wait()
            array.max()
            together.wait()

        workers = [threading.Thread(target=read, args=(array,)) for array in arrays]
        for worker in workers:
            worker.start()
        together.wait()
        started = time.perf_counter()
        together.wait()
        best = max(best, threads * count * 8 / (time.perf_counter() - started))
        for worker in workers:
            worker.join()
    return best
