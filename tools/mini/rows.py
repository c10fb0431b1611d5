"""Rows: what one line of the corpus is, how rows are read, and which of them are held out.

The split is a function of the text alone, so every stage (tokenizer, pretraining, fine-tuning, evaluation) agrees on it
without a list of ids, and a row added later never moves another one.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path

POSITIVE, NEGATIVE, NEUTRAL = "正面", "负面", "中性"

CORPUS = Path(__file__).parent / "corpus"
#: Written for the project by several people; all figures are measured on held-out rows of these files.
MAIN_FILES = ("zh1", "zh2", "zh3", "zh4", "en1", "en2")
#: Written for this model alone; measured on a line of their own.
EXTRA_FILES = ("extra", "lexicon", "written_en", "written_zh", "more_en", "more_zh", "phrases", "replies_en", "replies_zh")
#: Of these, files whose intents were not filled in with care.
NO_INTENT_FILES = ("extra", "lexicon", "phrases")
INTENTS = ("咨询", "投诉", "闲聊")
LANGUAGE_LABELS = {"zh": "中文", "en": "English", "other": "其他"}


@dataclass(frozen=True)
class Row:
    """One message with what is known about it. `sentiment`, `intent` or `reply` may be empty: then the row does not train that
    role."""

    lang: str
    text: str
    sentiment: str
    reply: str
    source: str
    intent: str = ""
    kind: str = ""


def split(text: str) -> str:
    """`held_out` (10 %), `validation` (4.5 %) or `train`, by the SHA-256 of the NFC text."""
    digest = int.from_bytes(hashlib.sha256(unicodedata.normalize("NFC", text).encode()).digest(), "big")
    if digest % 10 == 0:
        return "held_out"
    return "validation" if digest // 10 % 20 == 0 else "train"


def dedupe(rows: list[Row]) -> list[Row]:
    """Keep the first row of each text, compared without case, spaces and outer punctuation."""
    seen: set[str] = set()
    kept = []
    for row in rows:
        key = "".join(c for c in unicodedata.normalize("NFKC", row.text).casefold() if c.isalnum()) or row.text
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return kept


def read_corpus(files: tuple[str, ...] = MAIN_FILES) -> list[Row]:
    """All rows of the named corpus files, in order, not yet deduplicated."""
    rows = []
    for name in files:
        path = CORPUS / f"{name}.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            intent = "" if name in NO_INTENT_FILES else item["intent"]
            rows.append(Row(item["lang"], item["text"], item["sentiment"], item["reply"], name, intent, item.get("kind", "")))
    return rows


def part(rows: list[Row], name: str) -> list[Row]:
    """The rows of one part of the split."""
    return [row for row in rows if split(row.text) == name]


def read_other() -> list[Row]:
    """Texts in neither of the two languages; they train the task `language` only."""
    lines = (CORPUS / "other.jsonl").read_text(encoding="utf-8").splitlines()
    return [Row("other", json.loads(line)["text"], "", "", "other") for line in lines]


def read_probe() -> list[Row]:
    """Texts that nothing is trained on, by a writer who saw no other row; `kind` says what is hard about each."""
    rows = []
    for line in (CORPUS / "probe.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        rows.append(Row(item["lang"], item["text"], item["sentiment"], "", "probe", kind=item["kind"]))
    return rows
