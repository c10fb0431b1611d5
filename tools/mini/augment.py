"""Small changes that keep a message's mood, so that few rows teach more than their own wording."""

from __future__ import annotations

import random

from rows import NEGATIVE, POSITIVE, Row

_EMOJI = {POSITIVE: "😊😄🎉👍✨", NEGATIVE: "😭😢😡💔😞😩"}
_END = "。.!！~～…"


def vary(text: str, rng: random.Random) -> str:
    """Sometimes lower case, no final mark or another one, or a character lost in a longer text."""
    if rng.random() < 0.15:
        text = text.lower()
    if rng.random() < 0.25 and text[-1] in _END and len(text) > 2:
        text = text.rstrip(_END) + rng.choice(("", "", "！", "。", "...")) if ord(text[0]) > 0x2E80 else text.rstrip(_END)
    if rng.random() < 0.1 and len(text) > 12:
        at = rng.randrange(1, len(text) - 1)
        text = text[:at] + text[at + 1:]
    return text or "。"


def join(a: Row, b: Row, rng: random.Random) -> str:
    """Two messages of one language as one."""
    if a.lang == "zh":
        return a.text.rstrip("。") + rng.choice(("，", "。", "，", " ")) + b.text
    return a.text.rstrip(".") + rng.choice((". ", ", ", " - ", " and ")) + b.text


def sentiment_text(row: Row, others: list[Row], rng: random.Random) -> str:
    """The text of `row`, varied; at times joined with another row of `others`, which share its language and label."""
    text = row.text
    if len(text) < (30 if row.lang == "zh" else 80) and rng.random() < 0.2:
        other = rng.choice(others)
        if len(other.text) < (30 if row.lang == "zh" else 80):
            pair = (row, other) if rng.random() < 0.5 else (other, row)
            text = join(*pair, rng)
    text = vary(text, rng)
    if row.sentiment in _EMOJI and rng.random() < 0.03:
        text += rng.choice(_EMOJI[row.sentiment])
    return text
