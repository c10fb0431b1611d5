"""Accuracy of a model in training on rows that it has not seen. The figures of the card come from `evaluate.py` instead."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from model import Qwen2
from prompts import INTENT, SENTIMENT, Task
from rows import EXTRA_FILES, NEUTRAL, Row
from tokenizer import Chat


@torch.no_grad()
def answers(model: Qwen2, chat: Chat, task: Task, texts: list[str]) -> Tensor:
    """For each text the probabilities of the task's labels among themselves, [texts, labels]."""
    labels = [chat.label(label) for label in task.labels]
    head = torch.tensor(chat.system(task.system))
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found = torch.zeros(len(texts), len(labels))
    for start in range(0, len(order), 32):
        group = order[start:start + 32]
        ids = [chat.user(task.user(texts[i])) for i in group]
        longest = max(map(len, ids))
        states = model.hidden(head, torch.tensor([row + [chat.end] * (longest - len(row)) for row in ids]))
        last = states[torch.arange(len(ids)), torch.tensor([len(row) - 1 for row in ids])]
        found[group] = model.logits(last)[:, labels].softmax(-1)
    return found


def accuracy(model: Qwen2, chat: Chat, rows: list[Row]) -> dict[str, float]:
    """Share of rows with the right label, by language and origin; neutral rows do not count for sentiment."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    cases = [(SENTIMENT, "", [r for r in rows if r.sentiment != NEUTRAL], lambda r: r.sentiment),
             (INTENT, " intent", [r for r in rows if r.intent], lambda r: r.intent)]
    for task, suffix, known, truth in cases:
        for row, found in zip(known, answers(model, chat, task, [r.text for r in known])):
            key = row.lang + ("" if row.source not in EXTRA_FILES else "+extra") + suffix
            total[key] += 1
            right[key] += task.labels[int(found.argmax())] == truth(row)
    return {key: round(right[key] / total[key], 3) for key in sorted(total)}
