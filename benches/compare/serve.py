"""The contestant's side: a process that loads a model once and answers requests, each a line of JSON.

| request | answer |
|---|---|
| the first one: ``path``, ``precision``, ``threads`` | facts about the model |
| ``prefill``: ``tokens`` | ``samples`` in seconds, here and below |
| ``decode``: ``tokens``, ``steps`` | of the steps after the tokens |
| ``label``: a job | of finding one label |
| ``turn``: ``label`` and ``reply``, each a job | of both |
| ``batch``: ``texts``, ``prompts``, ``prefix``, ``labels`` | of one label for each |
| ``logits``: ``tokens``, ``file`` | writes the logits after each token, 32-bit floats |
| ``first``: a job with ``path``, ``precision``, ``threads``; instead of the first one | ``seconds`` from nothing to a label, memory |

A job is ``text`` for qaio, and for those who know no jobs ``prompt`` (ids), ``prefix`` (how many of them are the same for all
texts, so that their KV may be kept) and ``steps`` (tokens to generate).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: A sample is taken again until so many seconds are spent, or so many samples are there.
ENOUGH, MOST = 0.2, 10

Request = dict[str, Any]
Work = Callable[[], object]


def nothing() -> None:
    """No preparation."""


def seconds(work: Work) -> float:
    """How long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def samples(work: Work, prepare: Work = nothing) -> dict[str, list[float]]:
    """How long `work` takes each time, without what prepares it."""
    found: list[float] = []
    started = time.perf_counter()
    while not found or (time.perf_counter() - started < ENOUGH and len(found) < MOST):
        prepare()
        found.append(seconds(work))
    return {"samples": found}


def memory(name: str) -> int:
    """Bytes of this process that are in memory: now (VmRSS) or at most (VmHWM). 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def first(load: Work, label: Work) -> Request:
    """From nothing to the first label. The program itself, without a model, is in memory already."""
    before = memory("VmRSS")
    took = seconds(lambda: (load(), label()))
    return {"seconds": took, "bytes": memory("VmHWM") - before}


class Contestant:
    """Has a method for each measure, which gets the request."""

    def load(self, request: Request) -> Request:
        """Loads the model."""
        raise NotImplementedError

    def label(self, request: Request) -> Request:
        """Finds one label, more than once."""
        raise NotImplementedError

    def find(self, job: Request) -> None:
        """Finds one label."""
        raise NotImplementedError

    def first(self, request: Request) -> Request:
        """Loads the model and finds one label."""
        return first(lambda: self.load(request), lambda: self.find(request))


def serve(contestant: Contestant) -> None:
    """Answers until standard input ends."""
    # Whatever else is printed must not look like an answer.
    out, sys.stdout = sys.stdout, sys.stderr
    for number, line in enumerate(sys.stdin):
        request: Request = json.loads(line)
        measure = request.get("measure", "load")
        if number == 0 and measure not in ("load", "first"):
            raise ValueError(f"the first request loads the model, {measure} does not")
        print(json.dumps(getattr(contestant, measure)(request)), file=out, flush=True)
