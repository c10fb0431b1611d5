"""Measures an exported model on held-out rows: accuracy, calibration, confusion, sample replies.

    python tools/mini/evaluate.py src/builtin/qaio-mini.gguf [--card src/builtin/MODEL_CARD.md]

Weights are read back from the GGUF file (Q8_0, dequantised), so the figures are those of the file that ships.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

import card
import export
from model import Qwen2
from prompts import REPLY_SYSTEM, SENTIMENT, Task, reply_user
from rows import EXTRA_FILES, NEGATIVE, NEUTRAL, POSITIVE, Row, dedupe, part, read_corpus
from tokenizer import Chat

#: A score under this is "unsure", and the reply then gets no mood.
UNSURE = 0.6
#: The repetition penalty written into the file.
PENALTY = export.SAMPLING["penalty_repeat"]
DEMO = (
    ("终于把bug修完了，感觉整个人都轻松了！", POSITIVE),
    ("项目延期了，客户又要投诉，压力好大。", NEGATIVE),
    ("I finally fixed the bug and I feel so relieved!", POSITIVE),
    ("My flight got cancelled and nobody at the desk would help me.", NEGATIVE),
)


@torch.no_grad()
def answers(model: Qwen2, chat: Chat, task: Task, texts: list[str]) -> tuple[Tensor, Tensor]:
    """For each text the probabilities of the task's labels among themselves [texts, labels], and the label mass [texts]."""
    labels = [chat.label(label) for label in task.labels]
    head = torch.tensor(chat.system(task.system))
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found, mass = torch.zeros(len(texts), len(labels)), torch.zeros(len(texts))
    for start in range(0, len(order), 32):
        group = order[start:start + 32]
        ids = [chat.user(task.user(texts[i])) for i in group]
        longest = max(map(len, ids))
        states = model.hidden(head, torch.tensor([row + [chat.end] * (longest - len(row)) for row in ids]))
        last = states[torch.arange(len(ids)), torch.tensor([len(row) - 1 for row in ids])]
        chosen = model.logits(last).log_softmax(-1)[:, labels].exp()
        found[group], mass[group] = chosen / chosen.sum(-1, keepdim=True), chosen.sum(-1)
    return found, mass


def scores(model: Qwen2, chat: Chat, texts: list[str]) -> list[tuple[float, float]]:
    """For each text the probability of 正面 among the two labels, and the label mass in the full vocabulary."""
    found, mass = answers(model, chat, SENTIMENT, texts)
    return list(zip(found[:, SENTIMENT.labels.index(POSITIVE)].tolist(), mass.tolist()))


def accuracy(model: Qwen2, chat: Chat, rows: list[Row]) -> dict[str, float]:
    """Share of rows with the right label, by language and origin; neutral rows are not counted."""
    rows = [r for r in rows if r.sentiment != NEUTRAL]
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row, (p, _) in zip(rows, scores(model, chat, [r.text for r in rows])):
        key = row.lang + ("" if row.source not in EXTRA_FILES else "+extra")
        total[key] += 1
        right[key] += (p > 0.5) == (row.sentiment == POSITIVE)
    return {key: round(right[key] / total[key], 3) for key in sorted(total)}


@torch.no_grad()
def reply(model: Qwen2, chat: Chat, turns: list[tuple[str, str]], user: str,
          penalty: float = PENALTY, limit: int = 80) -> tuple[str, bool]:
    """Greedy answer to `user` after earlier `turns`; also whether it ended by itself. Hugging Face's repetition penalty."""
    ids = chat.system(REPLY_SYSTEM)
    for earlier, answer in turns:
        ids += chat.user(earlier) + chat.answer(answer) + chat.newline
    ids += chat.user(user)
    begun = len(ids)
    while len(ids) - begun < limit:
        logits = model(torch.tensor([ids]))[0, -1]
        seen = torch.tensor(sorted(set(ids)))
        old = logits[seen]
        logits[seen] = torch.where(old > 0, old / penalty, old * penalty)
        token = int(logits.argmax())
        if token in (chat.end, chat.start, chat.end_of_text):
            return chat.decode(ids[begun:]), True
        ids.append(token)
    return chat.decode(ids[begun:]), False


def mood(p: float) -> str | None:
    """The label of a score, or None when unsure."""
    if max(p, 1 - p) < UNSURE:
        return None
    return POSITIVE if p > 0.5 else NEGATIVE


def _calibration(pairs: list[tuple[float, bool]]) -> float:
    """Expected calibration error over ten bins of confidence."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for score, right in pairs:
        bins.setdefault(min(9, int(score * 10)), []).append((score, right))
    return sum(abs(sum(s for s, _ in b) - sum(r for _, r in b)) for b in bins.values()) / max(1, len(pairs))


def _language(model: Qwen2, chat: Chat, rows: list[Row]) -> dict[str, object]:
    """All sentiment figures of one language's held-out rows."""
    confusion: Counter[str] = Counter()
    pairs, masses, neutral = [], [], []
    for row, (p, mass) in zip(rows, scores(model, chat, [r.text for r in rows])):
        masses.append(mass)
        if row.sentiment == NEUTRAL:
            neutral.append(max(p, 1 - p))
            continue
        said = POSITIVE if p > 0.5 else NEGATIVE
        confusion[f"{row.sentiment}>{said}"] += 1
        pairs.append((max(p, 1 - p), said == row.sentiment))
    n = len(pairs)
    right = sum(r for _, r in pairs) / n
    sure = [r for s, r in pairs if s >= UNSURE]
    return {
        "n": n,
        "accuracy": round(right, 4),
        "standard_error": round(math.sqrt(right * (1 - right) / n), 4),
        "sure": round(len(sure) / n, 4),
        "accuracy_when_sure": round(sum(sure) / max(1, len(sure)), 4),
        "calibration_error": round(_calibration(pairs), 4),
        "mean_label_mass": round(sum(masses) / len(masses), 4),
        "confusion": {k: confusion[k] for k in sorted(confusion)},
        "neutral_n": len(neutral),
        "neutral_mean_score": round(sum(neutral) / max(1, len(neutral)), 4),
        "neutral_unsure": round(sum(s < UNSURE for s in neutral) / max(1, len(neutral)), 4),
    }


def _turn(model: Qwen2, chat: Chat, text: str, true: str) -> dict[str, object]:
    """Sentiment and reply for one message, as the product does it."""
    ((p, _),) = scores(model, chat, [text])
    said, ended = reply(model, chat, [], reply_user(text, mood(p)))
    return {"text": text, "true": true, "label": POSITIVE if p > 0.5 else NEGATIVE, "score": round(max(p, 1 - p), 3),
            "reply": said, "ended": ended}


def evaluate(gguf: Path, tokenizer: Path | None = None, samples: int = 10) -> dict[str, object]:
    """Everything the card shows. The tokenizer is rebuilt from the GGUF file unless a tokenizer.json is given."""
    model = export.read(gguf)
    chat = Chat.load(tokenizer) if tokenizer else export.read_tokenizer(gguf)
    held = part(dedupe(read_corpus() + read_corpus(EXTRA_FILES)), "held_out")
    result: dict[str, object] = {"parameters": model.parameter_count(), "bytes": gguf.stat().st_size, "penalty": PENALTY, "sentiment": {},
                                 "extra": {}, "replies": {}}
    for lang in ("zh", "en"):
        own = [r for r in held if r.lang == lang and r.source not in EXTRA_FILES]
        extra = [r for r in held if r.lang == lang and r.source in EXTRA_FILES]
        result["sentiment"][lang] = _language(model, chat, own)
        if extra:
            result["extra"][lang] = _language(model, chat, extra)
        result["replies"][lang] = [_turn(model, chat, r.text, r.sentiment) for r in own[:40]]
    every = [turn for turns in result["replies"].values() for turn in turns]
    result["replies_n"], result["replies_ended"] = len(every), round(sum(t["ended"] for t in every) / len(every), 4)
    for lang in ("zh", "en"):
        result["replies"][lang] = result["replies"][lang][:samples]
    result["demo"] = [_turn(model, chat, text, true) for text, true in DEMO]
    return result


def main() -> None:
    """Print the result as JSON and as a table; with --card write the figures into the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--card", type=Path, help="card whose figures are written anew")
    options = parser.parse_args()
    torch.set_num_threads(2)
    result = evaluate(options.gguf)
    print(json.dumps(result, ensure_ascii=False, indent=1))
    print(card.figures(result))
    if options.card:
        card.renew(options.card, result)


if __name__ == "__main__":
    main()
