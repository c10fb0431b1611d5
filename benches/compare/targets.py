"""What qaio means to reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from measures import Table

Tables = dict[str, Table]
LOAD_MS, MINI_MS, MEMORY, BANDWIDTH = 500.0, 40.0, 1.15, 0.85


@dataclass(frozen=True)
class Target:
    """One line of the list."""

    what: str
    wanted: str
    #: None where it was not measured.
    found: str | None
    met: bool


def all_targets(tables: Tables, weight_bytes: float, decode_share: Callable[[str], float | None]) -> list[Target]:
    """`decode_share` is the share of the memory's bandwidth that decoding in a format uses."""
    found: list[Target] = []

    def faster(what: str, least: float, group: str, measure: str, ours: str, *others: str) -> None:
        table = tables[group]
        measured = next(one for one in table.measures if one.key == measure)
        times = table.ratio(measured, ours, list(others))
        said = None if times is None else f"{times:.2f} x"
        found.append(Target(what, f"≥ {least:g} x", said, times is not None and times >= least))

    def below(what: str, most: float, unit: str, figure: float | None, digits: int = 0) -> None:
        said = None if figure is None else f"{figure:.{digits}f} {unit}"
        found.append(Target(what, f"< {most:g} {unit}", said, figure is not None and figure < most))

    for length in (128, 512):
        key = f"prefill_{length}"
        faster(f"prefill {length}, Q8_0, to llama.cpp", 2.5, "q8", key, "qaio Q8_0", "llama.cpp Q8_0")
        for format in ("Q4_0", "Q4_K_M"):
            name = f"prefill {length}, Q4_0, to llama.cpp's {format}"
            faster(name, 2.0, "q4", key, "qaio Q4_0", f"llama.cpp {format}")
    faster("decode, Q8_0, to llama.cpp", 1.0, "q8", "decode", "qaio Q8_0", "llama.cpp Q8_0")
    for format in ("Q4_0", "Q4_K_M"):
        faster(f"decode, Q4_0, to llama.cpp's {format}", 1.0, "q4", "decode", "qaio Q4_0", f"llama.cpp {format}")
    for format in ("Q8_0", "Q4_0"):
        share = decode_share(format)
        said = None if share is None else f"{share:.0%}"
        met = share is not None and share >= BANDWIDTH
        found.append(Target(f"decode, {format}, of the read bandwidth", f"≥ {BANDWIDTH:.0%}", said, met))
    for format in ("F32", "BF16"):
        for key, name in (("prefill_128", "prefill 128"), ("prefill_512", "prefill 512"), ("decode", "decode")):
            what = f"{name}, {format}, to transformers"
            faster(what, 1.0, "floats", key, f"qaio {format}", f"transformers {format}")
    for key, llama, transformers in (("label", 10.0, 40.0), ("turn", 2.0, 9.0)):
        faster(f"{key}, Q8_0, to llama.cpp", llama, "jobs", key, "qaio Q8_0", "llama.cpp Q8_0")
        faster(f"{key}, Q8_0, to transformers F32", transformers, "jobs", key, "qaio Q8_0", "transformers F32")
    others = ("llama.cpp Q8_0", "transformers F32", "transformers BF16")
    faster("batch of 64, Q8_0, to the best of the others", 3.0, "jobs", "batch", "qaio Q8_0", *others)
    below("load to the first label, Q8_0", LOAD_MS, "ms", tables["first"].median("time", "qaio Q8_0"))
    peak = tables["first"].median("memory", "qaio Q8_0")
    relative = None if peak is None else peak * 1e6 / weight_bytes
    below("peak memory till then, of the weights", MEMORY, "x", relative, 2)
    below("turn of the built-in model", MINI_MS, "ms", tables["mini"].median("turn", "qaio-mini"))
    return found
