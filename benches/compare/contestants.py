"""The parent's side of serve.py: who is measured, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


@cache
def rust_binary() -> str:
    """The program of benches/contestant, which cargo knows the place of."""
    command = ["cargo", "bench", "--workspace", "--bench", "contestant", "--no-run", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = [json.loads(line) for line in lines]
    return next(m["executable"] for m in messages if m.get("target", {}).get("name") == "contestant" and m["executable"])


def command(program: str) -> list[str]:
    """What starts a program."""
    python = {"qaio": "qaio_contestant", "llama.cpp": "llama_contestant", "transformers": "transformers_contestant"}
    if program in python:
        return [sys.executable, str(HERE / f"{python[program]}.py")]
    return [rust_binary(), {"qaio engine": "qaio", "candle": "candle"}[program]]


@dataclass(frozen=True)
class Entry:
    """A program with weights."""

    #: As the tables have it.
    name: str
    program: str
    path: Path | None
    precision: str = "auto"
    #: None for all that are to be used.
    threads: int | None = None


class Contestant:
    """A running entry."""

    def __init__(self, entry: Entry, threads: int) -> None:
        self.name = entry.name
        threads = entry.threads or threads
        self.model = {
            "path": None if entry.path is None else str(entry.path), "precision": entry.precision, "threads": threads
        }  # fmt: skip
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            command(entry.program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Contestant:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        # It has ended already if it failed.
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()

    def load(self) -> dict[str, Any]:
        """Loads the model; gives facts about it."""
        return self.say(self.model)

    def first(self, job: dict[str, Any]) -> dict[str, Any]:
        """Loads the model and finds a label."""
        return self.say({"measure": "first", **self.model, **job})

    def ask(self, measure: str, **request: Any) -> dict[str, Any]:
        """Does what a request asks for."""
        return self.say({"measure": measure, **request})

    def say(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise SystemExit(f"{self.name} ended, with exit status {self.process.wait()}")
        return json.loads(answer)
