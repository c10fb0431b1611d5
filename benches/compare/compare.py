"""Measures qaio beside llama.cpp, candle-transformers and PyTorch transformers on the same weights (see run.sh)."""

from __future__ import annotations

import argparse
import json
import sys

import jobs
import machine
import report
import weights
from contestants import ROOT, Contestant, Entry
from measures import Measure, Table, compare, divergences, first_labels, note
from roofline import Run, Shape, bytes_per_token
from targets import all_targets

OTHERS = ("llama.cpp", "candle", "transformers")
ROUNDS, QUICK = 5, 2
DECODED = 32


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/compare/run.sh", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rounds in place of {ROUNDS}")
    parser.add_argument("--shape", default="qwen1.5-0.5b", help="of the weights, as `qaio bench` has it; Qwen2 only")
    parser.add_argument("--threads", type=int, default=machine.cores(), help="for each program")
    parser.add_argument("--only", default=",".join(OTHERS), help="whom to measure beside qaio, separated by commas")
    found = parser.parse_args()
    found.only = found.only.split(",")
    if unknown := set(found.only) - set(OTHERS):
        parser.error(f"--only: {', '.join(sorted(unknown))}; there are {', '.join(OTHERS)}")
    return found


def speed(vocabulary: int) -> list[Measure]:
    """Prefill and decode."""
    found = []
    for length in (128, 512):
        request = {"measure": "prefill", "tokens": jobs.tokens(vocabulary, length)}
        found.append(Measure(f"prefill_{length}", f"prefill of {length} tokens", request, length, "tokens/s"))
    request = {"measure": "decode", "tokens": jobs.tokens(vocabulary, 128), "steps": DECODED}
    title = f"decode of {DECODED} tokens after 128"
    return [*found, Measure("decode", title, request, DECODED, "tokens/s")]


def main() -> None:
    given = arguments()
    rounds, threads = QUICK if given.quick else ROUNDS, given.threads
    about = machine.facts()
    files = weights.make(given.shape)
    config = json.loads((files.directory / "config.json").read_text())
    vocabulary = config["vocab_size"]

    def chosen(*entries: Entry) -> list[Entry]:
        return [entry for entry in entries if entry.program.startswith("qaio") or entry.program in given.only]

    def compared(title: str, entries: list[Entry], measures: list[Measure]) -> Table:
        return compare(title, entries, measures, rounds, threads)

    q8 = Entry("qaio Q8_0", "qaio engine", files.q8_0)
    library = Entry("qaio Q8_0", "qaio", files.q8_0)
    exact = Entry("transformers F32", "transformers", files.directory, "f32")
    half = Entry("transformers BF16", "transformers", files.directory, "bf16")
    llama = {
        format: Entry(f"llama.cpp {format}", "llama.cpp", path)
        for format, path in (("Q8_0", files.q8_0), ("Q4_0", files.q4_0), ("Q4_K_M", files.q4_k_m))
    }
    q4 = Entry("qaio Q4_0", "qaio engine", files.q4_0)

    with Contestant(q8, threads) as engine, Contestant(library, threads) as qaio:
        engine.load()
        qaio.load()
        asked = jobs.make(engine, qaio)
    whole = [
        Measure("label", "label of a message of 20 tokens", {"measure": "label", **asked.label}),
        Measure("turn", f"turn: the label, then a reply of {jobs.REPLY} tokens", {"measure": "turn", **asked.turn}),
        Measure("batch", f"labels of {jobs.BATCH} texts", {"measure": "batch", **asked.batch}, jobs.BATCH, "texts/s"),
    ]

    tables: dict[str, Table] = {}
    candle = Entry("candle-transformers Q8_0", "candle", files.q8_0)
    tables["q8"] = compared("Q8_0", chosen(q8, llama["Q8_0"], candle), speed(vocabulary))
    mixed = Entry("qaio Q4_K_M", "qaio engine", files.q4_k_m)
    tables["q4"] = compared("4 bits", chosen(q4, llama["Q4_0"], mixed, llama["Q4_K_M"]), speed(vocabulary))
    floats = [Entry(f"qaio {name.upper()}", "qaio engine", files.bf16, name) for name in ("f32", "bf16")]
    tables["floats"] = compared("Floats", chosen(floats[0], exact, floats[1], half), speed(vocabulary))
    tables["jobs"] = compared("Whole jobs", chosen(library, llama["Q8_0"], exact, half), whole)
    directory = Entry("qaio Q8_0, made of BF16 safetensors", "qaio", files.directory, "q8")
    wide = Entry("qaio F32", "qaio", files.directory, "f32")
    entries = chosen(library, llama["Q8_0"], directory, wide, exact, half)
    tables["first"] = first_labels("From nothing to the first label", entries, asked.label, rounds, threads)
    mini = Measure("turn", "turn", {"measure": "turn", "reply": {"text": jobs.EVERYDAY, "steps": jobs.REPLY}})
    tables["mini"] = compared("The built-in model", [Entry("qaio-mini", "qaio", None)], [mini])
    scaled = [
        Entry(f"qaio {entry.name.split()[1]}, {count} threads", entry.program, entry.path, threads=count)
        for entry in (q8, q4)
        for count in sorted({1, 2, threads})
        if count <= machine.cores()
    ]
    tables["threads"] = compared("Threads", scaled, [m for m in speed(vocabulary) if m.key != "prefill_512"])
    errors = {}
    if "transformers" in given.only:
        errors = divergences(exact, chosen(q8, llama["Q8_0"], q4, llama["Q4_0"]), vocabulary, threads)

    note("bandwidth")
    bandwidth = {count: machine.bandwidth(count) for count in sorted({entry.threads for entry in scaled})}
    runs = []
    for entry in scaled:
        table = tables["threads"]
        prefill, decode = table.median("prefill_128", entry.name), table.median("decode", entry.name)
        assert prefill and decode and entry.threads
        read = bytes_per_token(table.facts[entry.name])
        format = entry.name.split()[1].rstrip(",")
        runs.append(Run(format, entry.threads, prefill, decode, read, bandwidth[entry.threads]))

    def share(format: str) -> float | None:
        return next((run.share for run in runs if run.format == format and run.threads == threads), None)

    found = report.Report(
        command=" ".join(["benches/compare/run.sh", *sys.argv[1:]]),
        shape=given.shape,
        rounds=rounds,
        threads=threads,
        machine=about,
        versions=machine.versions(),
        tables=tables,
        errors=errors,
        cost=Shape.of(config),
        runs=runs,
        targets=all_targets(tables, tables["q8"].facts[q8.name]["weight_bytes"], share),
        prompts={name: (len(job["prompt"]), job["prefix"]) for name, job in asked.turn.items()},
    )
    text = found.markdown()
    (ROOT / "docs" / "benchmarks.md").write_text(text, encoding="utf-8")
    (ROOT / "docs" / "benchmarks.json").write_text(found.json(), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
