"""Measures a model through qaio's C ABI, as a user meets it: labels, calibration, replies, speed.

    cargo build --release
    python tools/mini/evaluate.py [MODEL.gguf] [--card src/builtin/MODEL_CARD.md] [--json FIGURES.json]

Without a model it is the one that is built into the library. Needs nothing but Python and the library.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
import unicodedata
from collections import Counter
from pathlib import Path

import card
from rows import EXTRA_FILES, LANGUAGE_LABELS, NEUTRAL, Row, dedupe, part, read_corpus, read_other, read_probe

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings" / "python"))
import qaio  # noqa: E402

DEMO = (
    ("终于把bug修完了，感觉整个人都轻松了！", "正面"),
    ("项目延期了，客户又要投诉，压力好大。", "负面"),
    ("I finally fixed the bug and I feel so relieved!", "正面"),
    ("My flight got cancelled and nobody at the desk would help me.", "负面"),
)
#: Most characters of each class of length.
LENGTHS = {"zh": (8, 20, 40), "en": (25, 60, 120)}
#: Replies that are looked at, per language, and those that the card shows.
REPLIES, SHOWN = 150, 25
_HAN = re.compile("[\u4e00-\u9fff\u3400-\u4dbf]")


def figures(task: qaio.Task, texts: list[str], truth: list[str]) -> dict[str, float]:
    """What the library's own evaluation says, as far as the card shows it."""
    with task.classify_batch(texts) as batch:
        found = batch.evaluate(truth)
    names = ("rows", "accuracy", "macro_f1", "calibration_error", "brier", "coverage", "sure_accuracy", "confusion")
    return {name: found[name] for name in names}


def _groups(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows by language and class of length."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        limits = LENGTHS[row.lang]
        least = 0
        for limit in limits:
            if len(row.text) <= limit:
                name = f"{least + 1} to {limit}"
                break
            least = limit
        else:
            name = f"over {limits[-1]}"
        found.setdefault(f"{row.lang} {name}", []).append(row)
    return dict(sorted(found.items()))


def _sentiment(task: qaio.Task, rows: list[Row]) -> dict[str, float]:
    rows = [r for r in rows if r.sentiment != NEUTRAL]
    return figures(task, [r.text for r in rows], [r.sentiment for r in rows])


def _tables(model: qaio.Model, held: list[Row], probe: list[Row], other: list[Row]) -> dict[str, dict]:
    sentiment, intent, language = (model.task(name) for name in ("sentiment", "intent", "language"))
    main = [r for r in held if r.source not in EXTRA_FILES]
    felt = [r for r in held if r.sentiment != NEUTRAL and r.source != "lexicon"]
    tables: dict[str, dict] = {"sentiment": {}, "sentiment, other rows": {}, "sentiment, by kind": {}, "sentiment, by length": {},
                               "intent": {}, "language": {}, "neutral called unsure": {}}
    for lang in ("zh", "en"):
        own = [r for r in main if r.lang == lang]
        tables["sentiment"][lang] = _sentiment(sentiment, own)
        tables["sentiment, other rows"][lang] = _sentiment(sentiment, [r for r in felt if r.lang == lang and r.source in EXTRA_FILES])
        known = [r for r in own if r.intent]
        tables["intent"][lang] = figures(intent, [r.text for r in known], [r.intent for r in known])
        neutral = [r.text for r in held if r.lang == lang and r.sentiment == NEUTRAL]
        with sentiment.classify_batch(neutral) as batch:
            tables["neutral called unsure"][lang] = sum(row.unsure for row in batch) / max(1, len(neutral))
    for kind in sorted({(r.lang, r.kind) for r in probe}, key=lambda k: (k[0] != "zh", k[1])):
        rows = [r for r in probe if (r.lang, r.kind) == kind]
        tables["sentiment, by kind"][" ".join(kind)] = _sentiment(sentiment, rows)
    for name, rows in _groups(felt).items():
        tables["sentiment, by length"][name] = _sentiment(sentiment, rows)
    texts = [(r.text, LANGUAGE_LABELS[r.lang]) for r in main + other]
    tables["language"]["all"] = figures(language, [t for t, _ in texts], [l for _, l in texts])
    return tables


def _looped(text: str) -> bool:
    """Whether a run of four characters (Chinese) or words occurs three times."""
    units = list(text) if _HAN.search(text) else text.split()
    runs = Counter(tuple(units[i:i + 4]) for i in range(len(units) - 3))
    return any(count >= 3 for count in runs.values())


def _broken(text: str) -> bool:
    """Whether a control token or a character that cannot be meant is in it."""
    return "<|" in text or "\ufffd" in text or any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") for c in text if c != "\n")


def _turn(model: qaio.Model, text: str, true: str) -> dict[str, object]:
    turn = model.turn(text, max_tokens=60)
    said, found = turn.reply.text, turn.sentiment
    return {
        "text": text, "true": true, "label": found.label, "score": found.score, "unsure": found.unsure, "reply": said,
        "ended": turn.reply.stop_reason is qaio.StopReason.END, "language": bool(_HAN.search(said)) == bool(_HAN.search(text)),
        "broken": _broken(said), "looped": _looped(said),
    }  # fmt: skip


def _speed(load: "tuple[object, ...]") -> dict[str, float]:
    """Milliseconds to load, for a sentiment and for a turn: medians."""
    loads = []
    for _ in range(5):
        began = time.perf_counter()
        model = qaio.load(*load)
        loads.append(time.perf_counter() - began)
        model.close()
    with qaio.load(*load) as model:
        model.turn("今天真好")
        seen: dict[str, list[float]] = {"sentiment_ms": [], "turn_ms": []}
        for text, _ in DEMO * 5:
            began = time.perf_counter()
            model.classify_sentiment(text)
            middle = time.perf_counter()
            model.turn(text)
            seen["sentiment_ms"].append(middle - began)
            seen["turn_ms"].append(time.perf_counter() - middle)
    medians = {name: round(1000 * statistics.median(times), 2) for name, times in seen.items()}
    return {"load_ms": round(1000 * statistics.median(loads), 2), **medians}


def evaluate(path: Path | None = None) -> dict[str, object]:
    """Everything that the card shows."""
    load = () if path is None else (str(path),)
    speed = _speed(load)
    known = dedupe(read_corpus() + read_corpus(EXTRA_FILES))
    texts = {r.text for r in known}
    probe = [r for r in read_probe() if r.text not in texts]
    held = part(known, "held_out")
    with qaio.load(*load) as model:
        info = model.info()
        tables = _tables(model, held, probe, part(read_other(), "held_out"))
        main = [r for r in held if r.source not in EXTRA_FILES]
        turns = [_turn(model, r.text, r.sentiment) for lang in LENGTHS for r in [r for r in main if r.lang == lang][:REPLIES]]
        demo = [_turn(model, text, true) for text, true in DEMO]
    shown = [t for han in (True, False) for t in [t for t in turns if bool(_HAN.search(str(t["text"]))) == han][:SHOWN]]
    checks = {name: sum(bool(t[name]) for t in turns) / len(turns) for name in ("ended", "language", "broken", "looped")}
    return {"info": info, "speed": speed, "tables": tables, "replies": {"n": len(turns), **checks}, "demo": demo, "shown": shown}


def main() -> None:
    """Print the figures; with --card write them into the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", help="a GGUF file; default the built-in model")
    parser.add_argument("--card", type=Path, help="card whose figures are written anew")
    parser.add_argument("--json", type=Path, help="where the figures go as JSON")
    options = parser.parse_args()
    result = evaluate(options.model)
    print(card.figures(result))
    if options.json:
        options.json.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if options.card:
        card.renew(options.card, result)


if __name__ == "__main__":
    main()
