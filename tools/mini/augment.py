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


def turned(first: Row, last: Row, rng: random.Random) -> str:
    """Two messages of opposite moods as one whose mood is the last one's: "…, but …"."""
    a, b = first.text.rstrip("。.！!？? "), last.text
    if last.lang == "zh":
        return rng.choice((f"虽然{a}，但是{b}", f"{a}，但是{b}", f"{a}，不过{b}", f"{a}，结果{b}", f"{a}。但{b}"))
    if b[1:2].islower() or b[1:2] == "'":
        b = b if b.startswith("I'") else b[0].lower() + b[1:]
    return rng.choice((f"{a}, but {b}", f"{a} but {b}", f"{a}. But {b}", f"{a}. Still, {b}", f"{a}, and yet {b}"))


def sentiment_text(row: Row, alike: list[Row], opposite: list[Row], rng: random.Random) -> str:
    """The text of `row`, varied; at times joined with another row of its language: one of `alike`, which share its mood, or
    after one of `opposite`, which do not."""
    text = row.text
    if _short(row) and rng.random() < 0.25:
        against = bool(opposite) and rng.random() < 0.35
        other = rng.choice(opposite if against else alike)
        if _short(other):
            pair = (row, other) if rng.random() < 0.5 else (other, row)
            text = turned(other, row, rng) if against else join(*pair, rng)
    text = vary(text, rng)
    if row.sentiment in _EMOJI and rng.random() < 0.03:
        text += rng.choice(_EMOJI[row.sentiment])
    return text


def _short(row: Row) -> bool:
    return len(row.text) < (30 if row.lang == "zh" else 80)
