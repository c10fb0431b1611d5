"""Packing: many short examples in one row of tokens, all of them behind one shared copy of their role's system prompt.

A token sees the prefix and the earlier tokens of its own example, nothing else; positions restart after the prefix. So each
example is computed exactly as if it stood alone, without padding and without repeating the prefix.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tokenizer import Chat


@dataclass
class Example:
    """Token ids behind a prefix. For each predicted position: (position, weight, first target, second, share of first)."""

    ids: list[int]
    targets: list[tuple[int, float, int, int, float]]


def conversation(chat: Chat, turns: list[tuple[str, str]], user_weight: float = 0.0) -> Example:
    """User and assistant turns; the loss is on answers, and with `user_weight` on the user's words too."""
    ids: list[int] = []
    targets = []

    def extend(piece: list[int], weight: float) -> None:
        for token in piece:
            if weight and ids:
                targets.append((len(ids) - 1, weight, token, token, 1.0))
            ids.append(token)

    for number, (user, answer) in enumerate(turns):
        if number:
            extend(chat.newline, 0.0)
        opening = chat.user(user)
        tail = 3 + len(chat.newline) + len(chat.assistant)
        extend(opening[:3], 0.0)
        extend(opening[3:-tail], user_weight)
        extend(opening[-tail:], 0.0)
        extend(chat.answer(answer), 1.0)
    return Example(ids, targets)


def labelled(chat: Chat, user: str, first: int, second: int, share: float, weight: float) -> Example:
    """One question whose answer is `first` with probability `share`, else `second`, then the end."""
    ids = chat.user(user)
    answer = first if share >= 0.5 else second
    return Example([*ids, answer], [(len(ids) - 1, weight, first, second, share), (len(ids), 0.3, chat.end, chat.end, 1.0)])


@dataclass
class _Open:
    """A row that still takes examples."""

    ids: list[int]
    positions: list[int]
    segments: list[int]
    targets: list[tuple[int, float, int, int, float]] = field(default_factory=list)


@dataclass
class Batch:
    """Tensors of one step: ids, positions [rows, length]; mask [rows, 1, length, length]; targets as flat vectors."""

    ids: Tensor
    positions: Tensor
    mask: Tensor
    where: Tensor
    weight: Tensor
    first: Tensor
    second: Tensor
    share: Tensor


def rows_of(prefix: list[int], examples: list[Example], length: int) -> list[_Open]:
    """First-fit packing into rows of `length` tokens; examples that do not fit behind the prefix are left out."""
    full: list[_Open] = []
    opened: list[_Open] = []
    for example in examples:
        if len(prefix) + len(example.ids) > length:
            continue
        row = next((r for r in opened if len(r.ids) + len(example.ids) <= length), None)
        if row is None:
            if len(opened) == 12:
                full.append(opened.pop(0))
            row = _Open(list(prefix), list(range(len(prefix))), [0] * len(prefix))
            opened.append(row)
        base, segment = len(row.ids), row.segments[-1] + 1
        row.targets += [(base + at, *rest) for at, *rest in example.targets]
        row.ids += example.ids
        row.positions += range(len(prefix), len(prefix) + len(example.ids))
        row.segments += [segment] * len(example.ids)
    return full + opened


def batches(rows: list[_Open], size: int, rng: random.Random) -> list[list[_Open]]:
    """Shuffled rows in groups of `size`; the last, smaller group is dropped unless it is the only one."""
    rng.shuffle(rows)
    groups = [rows[i:i + size] for i in range(0, len(rows), size)]
    return groups[:-1] if len(groups) > 1 and len(groups[-1]) < size else groups


def tensors(rows: list[_Open], length: int, pad: int) -> Batch:
    """One step's rows as tensors."""
    def grid(name: str, fill: int) -> Tensor:
        return torch.tensor([getattr(r, name) + [fill] * (length - len(r.ids)) for r in rows])

    segments = grid("segments", -1)
    own, other = segments[:, :, None], segments[:, None, :]
    seen = ((own == other) | (other == 0)) & torch.ones(length, length, dtype=torch.bool).tril()
    mask = torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))[:, None]
    flat = [(i * length + at, *rest) for i, r in enumerate(rows) for at, *rest in r.targets]
    where, weight, first, second, share = (torch.tensor(column) for column in zip(*flat))
    return Batch(grid("ids", pad), grid("positions", 0), mask, where, weight, first, second, share)
