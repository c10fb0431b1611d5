"""docs/benchmarks.md and docs/benchmarks.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from measures import POSITIONS, Table
from roofline import DEPTH, PREDICTED, Run, Shape, predicted
from targets import Target

HOW = """\
Each program runs in a process of its own with the same number of threads and gets the same token ids; they take turns measure
by measure, round by round, and only one computes at a time, after a round that warms all of them up. A figure is the median
of the rounds, with the least and the most of them behind it. The weights are noise, made by `qaio bench --save` in BF16; all
other formats are made from that file, so the programs that are compared read the same numbers. Whatever is not clear is
settled in favour of the others: llama.cpp runs each measure with flash attention and without, and batches in groups of 16
and of 64 texts, and keeps what was faster in a trial; transformers runs a loop of its own in place of the slower
`generate()`; both keep the KV of a prompt's constant beginning. A label is one for qaio, which measures it; the others
generate a line of 10 tokens that says it, except in batches, where they too look at the logits of the two labels only. They
generate exactly 50 tokens as a reply, and so does qaio, to the same message."""

FIRST = """\
A new process each time, with the file in the system's cache. The time is that from loading to the label; starting the
program and importing its libraries do not count, neither does what is in memory before. For qaio the label is measured, the
others generate the line. llama.cpp gets no more KV than the prompt needs."""

DIVERGENCE = """\
The mean Kullback-Leibler divergence of the next token's distribution from that of transformers in F32, over {positions}
positions. The weights are noise, so the distributions are flat: that says which program is nearer, not how good a model is."""

ROOFLINE = """\
A token costs {layers} million multiplications with the weights of the layers and {output} million with the output matrix, plus
{attention} thousand with the keys and values of each token before it. Decoding reads all weights for each token, and the
keys and values of {depth} tokens; what the memory gives then is the bound. The bandwidth is measured: each thread finds the
largest number of an array of its own of 1 GiB (numpy, doubles; the best of several times)."""

PREDICTION = """\
**A prediction, not a measurement.** Prefill grows with the cores; decode grows with them too, up to the bandwidth of this
machine's memory, of which a machine with more cores usually has more."""


@dataclass
class Report:
    """All that was found."""

    command: str
    shape: str
    rounds: int
    threads: int
    machine: dict[str, str]
    versions: dict[str, str]
    tables: dict[str, Table]
    errors: dict[str, float]
    cost: Shape
    runs: list[Run]
    targets: list[Target]
    #: Tokens of the prompts that ask for a label and for a reply, and how many of them are always the same.
    prompts: dict[str, tuple[int, int]]

    def json(self) -> str:
        """Everything, each round by itself."""
        out: dict[str, Any] = asdict(self)
        for table in out["tables"].values():
            # The ids that were asked for say nothing.
            for measure in table["measures"]:
                del measure["request"]
        return json.dumps(out, ensure_ascii=False, indent=1) + "\n"

    def markdown(self) -> str:
        parts = [
            "# Benchmarks",
            f"Written by `{self.command}`: random weights in the shape of {self.shape}, {self.threads} threads, "
            f"{self.rounds} rounds. A ratio above 1 is in favour of qaio.",
            rows(["machine", ""], [*self.machine.items(), ["instructions", self.instructions()]]),
            rows(["version", ""], self.versions.items()),
            "## Targets",
            rows(["target", "wanted", "found", ""], [verdict(target) for target in self.targets]),
            "## How it is measured",
            HOW,
            "; ".join(
                f"the prompt of a {name} has {length} tokens, of which {prefix} are always the same"
                for name, (length, prefix) in self.prompts.items()
            ).capitalize()
            + ".",
        ]
        for key in ("q8", "q4", "floats", "jobs"):
            parts += [f"## {self.tables[key].title}", figures(self.tables[key])]
        parts += [f"## {self.tables['first'].title}", FIRST, figures(self.tables["first"])]
        parts += [f"## {self.tables['mini'].title}", figures(self.tables["mini"])]
        if self.errors:
            errors = [[name, f"{error:.2e}"] for name, error in self.errors.items()]
            parts += ["## Error of the logits", DIVERGENCE.format(positions=POSITIONS), rows(["", "nats"], errors)]
        return "\n\n".join([*parts, *self.roofline()]) + "\n"

    def instructions(self) -> str:
        """Which instruction sets the programs use."""
        found = {}
        for table in self.tables.values():
            for name, facts in table.facts.items():
                if "kernels" in facts:
                    found.setdefault(name.split()[0], facts["kernels"])
        return "; ".join(f"{name}: {kernels}" for name, kernels in found.items())

    def roofline(self) -> list[str]:
        cost, measured, more = self.cost, [], []
        for run in self.runs:
            multiplications = run.prefill * cost.prefill(128) / 1e9
            measured.append([
                run.format, run.threads, f"{run.bytes / 1e6:.0f}", f"{run.bandwidth / 1e9:.1f}", number(run.bound),
                number(run.decode), f"{run.share:.0%}", number(run.prefill), number(multiplications),
            ])  # fmt: skip
        for format in dict.fromkeys(run.format for run in self.runs):
            of_format = [run for run in self.runs if run.format == format]
            for cores in PREDICTED:
                more.append([format, cores, *map(number, predicted(of_format, cores))])
        head = ["", "threads", "MB a token", "GB/s", "bound of decode", "decode", "share", "prefill 128"]
        millions = {"layers": f"{cost.layers / 1e6:.0f}", "output": f"{cost.output / 1e6:.0f}"}
        text = ROOFLINE.format(**millions, attention=f"{cost.attention / 1e3:.0f}", depth=DEPTH)
        return [
            "## What the machine allows",
            text,
            rows([*head, "10⁹ multiplications/s"], measured),
            PREDICTION,
            rows(["", "cores", "prefill 128", "decode"], more),
        ]


def figures(table: Table) -> str:
    """The medians, and below them what qaio's are to them."""
    lines = []
    for name in table.names:
        line = [name]
        for measure in table.measures:
            found = table.rounds[measure.key][name]
            middle = table.median(measure.key, name)
            line.append("" if middle is None else f"{number(middle)} ({number(min(found))} .. {number(max(found))})")
        lines.append(line)
    ours = [name for name in table.names if name.startswith("qaio")]
    for other in table.names:
        if other in ours:
            continue
        # Of the same format, if there is one.
        mine = next((name for name in ours if name.split()[-1] == other.split()[-1]), ours[0])
        ratios = [table.ratio(measure, mine, [other]) for measure in table.measures]
        lines.append([f"{mine} / {other}", *("" if ratio is None else f"**{ratio:.2f}**" for ratio in ratios)])
    return rows(["", *(f"{measure.title}, {measure.unit}" for measure in table.measures)], lines)


def verdict(target: Target) -> list[str]:
    if target.found is None:
        return [target.what, target.wanted, "not measured", ""]
    return [target.what, target.wanted, target.found, "met" if target.met else "**missed**"]


def rows(head: list[str], lines: Any) -> str:
    """A table of Markdown."""
    table = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in table)


def number(value: float) -> str:
    """With three digits at least, and no more than matter."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
