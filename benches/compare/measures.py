"""Takes the figures: the contestants of a comparison in turn, measure by measure, round by round, so that a disturbance
does not hit one of them alone. Only one of them computes at a time."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from contestants import Contestant, Entry
from jobs import tokens

#: Positions at which distributions are compared.
POSITIONS = 200
#: Seconds till the threads of whoever computed before have stopped waiting for more.
PAUSE = 0.05


@dataclass(frozen=True)
class Measure:
    """One thing that is measured."""

    key: str
    title: str
    #: The request of serve.py.
    request: dict[str, Any]
    #: How many of `unit` in a second, if one measurement is so many of them; None for milliseconds.
    count: int | None = None
    unit: str = "ms"

    @property
    def less_is_better(self) -> bool:
        return self.unit in ("ms", "MB")

    def figure(self, seconds: float) -> float:
        return seconds * 1e3 if self.count is None else self.count / seconds


@dataclass
class Table:
    """The figures of one comparison."""

    title: str
    measures: list[Measure]
    names: list[str]
    #: Of each measure and contestant, a figure for each round.
    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    #: What each contestant says of itself.
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def median(self, measure: str, name: str) -> float | None:
        figures = self.rounds.get(measure, {}).get(name)
        return median(figures) if figures else None

    def ratio(self, measure: Measure, ours: str, others: list[str]) -> float | None:
        """How many times as good as the best of the others; None unless all of them were measured."""
        found = self.median(measure.key, ours)
        theirs = [figure for name in others if (figure := self.median(measure.key, name)) is not None]
        if found is None or len(theirs) < len(others):
            return None
        return min(theirs) / found if measure.less_is_better else found / max(theirs)


def compare(title: str, entries: list[Entry], measures: list[Measure], rounds: int, threads: int) -> Table:
    """All measures of all entries."""
    table = Table(title, measures, [entry.name for entry in entries])
    table.rounds = {measure.key: {entry.name: [] for entry in entries} for measure in measures}
    with ExitStack() as stack:
        running = [stack.enter_context(Contestant(entry, threads)) for entry in entries]
        for contestant in running:
            table.facts[contestant.name] = contestant.load()
        # The first round warms up.
        for number in range(rounds + 1):
            note(f"{title}: " + (f"round {number} of {rounds}" if number else "warming up"))
            for measure in measures:
                # Each second round backwards, so that nobody always comes after the same one.
                for contestant in running[:: -1 if number % 2 else 1]:
                    time.sleep(PAUSE)
                    samples = contestant.ask(**measure.request)["samples"]
                    if number:
                        table.rounds[measure.key][contestant.name].append(measure.figure(median(samples)))
    return table


def first_labels(title: str, entries: list[Entry], job: dict[str, Any], rounds: int, threads: int) -> Table:
    """Time and memory until the first label, each time in a new process; the files are in the system's cache."""
    measures = [Measure("time", "time", {}), Measure("memory", "peak memory", {}, unit="MB")]
    table = Table(title, measures, [entry.name for entry in entries])
    table.rounds = {measure.key: {name: [] for name in table.names} for measure in measures}
    for number in range(rounds + 1):
        note(f"{title}: " + (f"round {number} of {rounds}" if number else "warming up"))
        for entry in entries:
            with Contestant(entry, threads) as contestant:
                found = contestant.first(job)
            if number:
                table.rounds["time"][entry.name].append(found["seconds"] * 1e3)
                table.rounds["memory"][entry.name].append(found["bytes"] / 1e6)
    return table


def divergences(reference: Entry, entries: list[Entry], vocabulary: int, threads: int) -> dict[str, float]:
    """Of each entry the mean Kullback-Leibler divergence, in nats, of the next token's distribution from that of
    `reference`."""
    ids = tokens(vocabulary, POSITIONS)
    with tempfile.TemporaryDirectory() as directory:

        def logits(entry: Entry) -> np.ndarray:
            note(f"logits of {entry.name}")
            path = Path(directory) / "logits"
            with Contestant(entry, threads) as contestant:
                contestant.load()
                contestant.ask("logits", tokens=ids, file=str(path))
            return np.fromfile(path, np.float32).reshape(POSITIONS, -1)

        truth = logits(reference)
        return {entry.name: divergence(truth, logits(entry)) for entry in entries}


def divergence(truth: np.ndarray, other: np.ndarray) -> float:
    """The mean divergence of the rows of `other` from those of `truth`, both logits."""
    rows = []
    for p, q in zip(map(logarithms, truth), map(logarithms, other), strict=True):
        rows.append(float(np.exp(p) @ (p - q)))
    return sum(rows) / len(rows)


def logarithms(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities."""
    logits = logits.astype(np.float64)
    logits -= logits.max()
    return logits - np.log(np.exp(logits).sum())


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
