"""The data sets that are not part of the repository: two dialogue sets and one emotion set, each filtered and cut to size.

Every reader returns nothing when its file is missing; the model can then be made from the corpus alone, only worse.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Iterator

from rows import NEGATIVE, POSITIVE, Row, split

#: A conversation is a list of (user, assistant) turns.
Conversation = list[tuple[str, str]]

_NAMES = ("Sam", "Alex", "Maria", "John", "Lena", "Omar", "Kim", "Ruth", "Ben", "Priya")
_UP = {"admiration", "amusement", "excitement", "gratitude", "joy", "love", "optimism", "pride", "relief"}
_DOWN = {"anger", "annoyance", "disappointment", "disapproval", "disgust", "embarrassment", "fear", "grief",
         "nervousness", "remorse", "sadness"}


def _first_sentences(text: str, limit: int) -> str:
    """Whole sentences from the start of `text`, at most `limit` characters; empty when the first is longer."""
    cut = ""
    for piece in re.findall(r"[^。！？!?]*[。！？!?]+", text):
        if len(cut) + len(piece) > limit:
            break
        cut += piece
    return cut


def _smilechat_pairs(data: Path) -> Iterator[tuple[str, str]]:
    """All (user, reply) pairs of SMILECHAT."""
    path = data / "data" / "dialogue" / "smilechat_first_pairs.jsonl"
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            yield item["user"].strip(), item["reply"].strip()


def _persona_lines(data: Path) -> Iterator[list[str]]:
    """The lines of each conversation of Synthetic-Persona-Chat."""
    for name in ("valid", "test"):
        path = data / "data" / "dialogue" / f"Synthetic-Persona-Chat_{name}.csv"
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                for record in csv.DictReader(file):
                    yield re.findall(r"^User [12]: *(.+)$", record["Best Generated Conversation"], re.M)


def smilechat(data: Path) -> list[Conversation]:
    """SMILECHAT first exchanges (Chinese, CC0-1.0): short questions, replies cut to their first one or two sentences."""
    kept = []
    for user, whole in _smilechat_pairs(data):
        reply = _first_sentences(whole, 64)
        if 6 <= len(user) <= 90 and len(reply) >= 8 and split(user) == "train":
            kept.append([(user, reply)])
    return kept


def persona_chat(data: Path) -> list[Conversation]:
    """Synthetic-Persona-Chat (English, CC BY 4.0), cut into conversations of three turns."""
    kept: list[Conversation] = []
    for whole in _persona_lines(data):
        said = [line.strip() for line in whole]
        for i in range(0, len(said) - 1, 6):
            lines = said[i:i + 6]
            if "[User" in "".join(lines) or max(map(len, lines)) > 160 or split(lines[0]) != "train":
                continue
            kept.append(list(zip(lines[::2], lines[1::2])))
    return kept


def all_texts(data: Path) -> list[str]:
    """Every text of the sets whole, for what needs no label; those that fall into the held-out tenth are left out."""
    texts = [text for pair in _smilechat_pairs(data) for text in pair]
    texts += [line for lines in _persona_lines(data) for line in lines]
    for file in ("train", "dev", "test"):
        path = data / "data" / "goemotions" / f"{file}.tsv"
        if path.exists():
            texts += [line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    return [text for text in texts if split(text) == "train"]


def goemotions(data: Path) -> list[Row]:
    """GoEmotions (English, Apache-2.0): comments whose emotions are all clearly positive or all clearly negative."""
    folder = data / "data" / "goemotions"
    if not (folder / "labels.txt").exists():
        return []
    names = (folder / "labels.txt").read_text().split()
    kept = []
    for file in ("train", "dev", "test"):
        for number, line in enumerate((folder / f"{file}.tsv").read_text(encoding="utf-8").splitlines()):
            text, labels, _ = line.split("\t")
            found = {names[int(label)] for label in labels.split(",")}
            mood = POSITIVE if found <= _UP else NEGATIVE if found <= _DOWN else ""
            if mood and "[RELIGION]" not in text and len(text) <= 160 and split(text) == "train":
                kept.append(Row("en", text.replace("[NAME]", _NAMES[number % len(_NAMES)]), mood, "", "goemotions"))
    return kept
