"""The training loop: Muon for the matrices, Adam for the rest, one learning-rate schedule per stage."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mixture import Epoch
from model import Qwen2
from packing import batches, rows_of, tensors

LENGTH = 256


@dataclass(frozen=True)
class Stage:
    """One stage's settings. The rate warms up, stays, and goes linearly to `floor` over the last `decay` of the steps;
    a step takes `rows` packed rows."""

    name: str
    epochs: int
    rate: float
    dropout: float
    decay: float
    floor: float
    rows: int
    weight_decay: float = 0.1


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by a Newton-Schulz iteration (K. Jordan, 2024), scaled to the size of an Adam update."""

    def __init__(self, params: list[Tensor], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One update."""
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.mul_(group["momentum"]).add_(p.grad)
                x = p.grad.add(buffer, alpha=group["momentum"])
                tall = x.shape[0] > x.shape[1]
                x = x.T if tall else x
                x = x / (x.norm() + 1e-7)
                for _ in range(5):
                    square = x @ x.T
                    x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
                x = x.T if tall else x
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(x, alpha=-group["lr"] * 0.2 * max(p.shape) ** 0.5)


def optimisers(model: Qwen2, stage: Stage) -> list[torch.optim.Optimizer]:
    """Matrices inside the layers to Muon, everything else to Adam."""
    matrices = [p for p in model.layers.parameters() if p.dim() == 2]
    rest = [p for n, p in model.named_parameters() if p.dim() == 1]
    return [
        Muon(matrices, stage.rate, stage.weight_decay),
        torch.optim.AdamW([{"params": [model.embed_tokens.weight], "weight_decay": stage.weight_decay},
                           {"params": rest, "weight_decay": 0.0}], lr=stage.rate, betas=(0.9, 0.98), fused=True),
    ]


def factor(step: int, steps: int, stage: Stage) -> float:
    """The share of the full learning rate at `step`."""
    warm = min(1.0, (step + 1) / 30)
    left = min(1.0, (steps - step) / max(1.0, stage.decay * steps))
    return warm * max(stage.floor, left)


def run(model: Qwen2, stage: Stage, prefixes: dict[str, list[int]], draw: Callable[[], Epoch], pad: int,
        after: Callable[[int], None] | None = None) -> dict[str, float]:
    """Train one stage; `after` is called with the number of each finished epoch. Returns the stage's figures."""
    rng = random.Random(stage.name)
    torch.manual_seed(len(stage.name))
    tools = optimisers(model, stage)
    model.dropout = stage.dropout
    began, step, steps, tokens = time.time(), 0, 0, 0
    for epoch in range(stage.epochs):
        rows = [row for role, examples in draw().items() for row in rows_of(prefixes[role], examples, LENGTH)]
        groups = batches(rows, stage.rows, rng)
        steps = steps or len(groups) * stage.epochs
        total = 0.0
        model.train()
        for group in groups:
            for tool in tools:
                for settings in tool.param_groups:
                    settings["lr"] = stage.rate * factor(step, steps, stage)
            b = tensors(group, LENGTH, pad)
            states = model.hidden(b.ids, b.positions, b.mask).flatten(0, 1)[b.where]
            logs = F.log_softmax(model.logits(states), -1)
            wanted = b.share * logs.gather(1, b.first[:, None])[:, 0] + (1 - b.share) * logs.gather(1, b.second[:, None])[:, 0]
            loss = -(b.weight * wanted).sum() / b.weight.sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for tool in tools:
                tool.step()
                tool.zero_grad(set_to_none=True)
            step += 1
            tokens += sum(len(row.ids) for row in group)
            total += loss.item()
            if step % 40 == 0:
                print(f"{stage.name} epoch {epoch + 1} step {step}/{steps} loss {loss.item():.3f} "
                      f"{tokens / (time.time() - began):.0f} tokens/s {(time.time() - began) / 60:.1f} min", flush=True)
        print(f"{stage.name} epoch {epoch + 1}: mean loss {total / len(groups):.3f}", flush=True)
        model.eval()
        if after:
            after(epoch + 1)
    return {"epochs": stage.epochs, "steps": step, "tokens": tokens, "minutes": round((time.time() - began) / 60, 1)}
