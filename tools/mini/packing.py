"""Examples and batches: sequences of like length behind one shared copy of their role's constant head.

A token sees the head and the earlier tokens of its own sequence, so each example is computed exactly as in the product, without
repeating the head.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from prompts import Task
from tokenizer import Chat

#: Tokens of a batch, padding included.
BATCH = 2048
#: Longer examples are left out.
LONGEST = 320


@dataclass
class Example:
    """Token ids behind a head. For each predicted position: (position, weight, target, or (probability, token) pairs)."""

    ids: list[int]
    targets: list[tuple[int, float, list[tuple[float, int]]]]


@dataclass
class Role:
    """A constant head and the examples behind it."""

    head: list[int]
    examples: list[Example]


@dataclass
class Batch:
    """Tensors of one group: head [prefix]; ids [batch, tokens]; per predicted position: where in the flat batch, weight; and
    per possible target of it: which position, token, probability."""

    head: Tensor
    ids: Tensor
    where: Tensor
    weight: Tensor
    position: Tensor
    token: Tensor
    probability: Tensor


def conversation(chat: Chat, turns: list[tuple[str, str]], user_weight: float = 0.0) -> Example:
    """User and assistant turns; the loss is on answers, and with `user_weight` on the user's words too."""
    ids: list[int] = []
    targets = []

    def extend(piece: list[int], weight: float) -> None:
        for token in piece:
            if weight and ids:
                targets.append((len(ids) - 1, weight, [(1.0, token)]))
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


class Labelled:
    """Makes examples of a task: a text whose answer is each label with some probability."""

    def __init__(self, chat: Chat, task: Task) -> None:
        self.chat, self.task = chat, task
        self.tokens = [chat.label(label) for label in task.labels]
        before = task.template.split("{text}")[0]
        #: As the product has it: instructions and the beginning of the user's message.
        self.head = [*chat.system(task.system), chat.start, *chat.text(f"user\n{before}")]
        self.system = len(chat.system(task.system))

    def example(self, text: str, shares: list[float], weight: float = 1.0, broken: bool = False) -> Example | None:
        """The example, or None for a text whose first characters merge with the words before it. With `broken` some of the
        text's tokens are taken apart, so that the model learns what their pieces mean."""
        ids = self.chat.user(self.task.user(text))
        own = len(self.head) - self.system
        if ids[:own] != self.head[self.system:]:
            return None
        ids = ids[own:]
        plain = self.chat.text(text)
        if broken and ids[:len(plain)] == plain:
            ids = self.chat.broken(text) + ids[len(plain):]
        return Example(ids, [(len(ids) - 1, weight, [(p, t) for p, t in zip(shares, self.tokens) if p > 0])])


def endings(chat: Chat, maker: Labelled, text: str) -> list[Example]:
    """Each label of a task followed by the end: the model must learn to stop after it."""
    ids = chat.user(maker.task.user(text))[len(maker.head) - maker.system:]
    return [Example([*ids, token], [(len(ids), 1.0, [(1.0, chat.end)])]) for token in maker.tokens]


def batches(role: Role, rng: random.Random, pad: int) -> list[Batch]:
    """All examples of a role in groups of like length, the groups in random order."""
    fitting = [example for example in role.examples if len(example.ids) <= LONGEST]
    rng.shuffle(fitting)
    fitting.sort(key=lambda example: len(example.ids) + rng.random() * 3)
    groups: list[list[Example]] = [[]]
    for example in fitting:
        if groups[-1] and (len(groups[-1]) + 1) * max(len(example.ids), len(groups[-1][-1].ids)) > BATCH:
            groups.append([])
        groups[-1].append(example)
    rng.shuffle(groups)
    return [_tensors(role.head, group, pad) for group in groups if group]


def _tensors(head: list[int], group: list[Example], pad: int) -> Batch:
    length = max(len(example.ids) for example in group)
    ids = torch.tensor([example.ids + [pad] * (length - len(example.ids)) for example in group])
    where, weight, position, token, probability = [], [], [], [], []
    for row, example in enumerate(group):
        for at, share, targets in example.targets:
            for p, target in targets:
                position.append(len(where))
                token.append(target)
                probability.append(p)
            where.append(row * length + at)
            weight.append(share)
    return Batch(torch.tensor(head), ids, *(torch.tensor(x) for x in (where, weight, position, token, probability)))
