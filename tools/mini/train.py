"""The training loop: Muon for the matrices, Adam for the rest, one learning-rate schedule per stage."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from model import Qwen2
from packing import Batch, Role, batches


@dataclass(frozen=True)
class Stage:
    """One stage's settings. The rate warms up, stays, and goes linearly to `floor` over the last `decay` of the steps;
    a step takes `groups` batches."""

    name: str
    epochs: int
    rate: float
    dropout: float
    decay: float
    floor: float
    groups: int
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


def loss_of(model: Qwen2, batch: Batch) -> Tensor:
    """Mean cross-entropy against the targets' probabilities."""
    states = model.hidden(batch.head, batch.ids).flatten(0, 1)[batch.where]
    logs = F.log_softmax(model.logits(states), -1)
    wanted = torch.zeros(len(states)).index_add(0, batch.position, batch.probability * logs[batch.position, batch.token])
    return -(batch.weight * wanted).sum() / batch.weight.sum()


def run(model: Qwen2, stage: Stage, draw: Callable[[], list[Role]], pad: int,
        after: Callable[[int], None] | None = None) -> dict[str, float]:
    """Train one stage; `after` is called with the number of each finished epoch. Returns the stage's figures."""
    rng = random.Random(stage.name)
    torch.manual_seed(len(stage.name))
    tools = optimisers(model, stage)
    model.dropout = stage.dropout
    began, step, steps, tokens = time.time(), 0, 0, 0
    for epoch in range(stage.epochs):
        groups = [batch for role in draw() for batch in batches(role, rng, pad)]
        rng.shuffle(groups)
        steps = steps or len(groups) // stage.groups * stage.epochs
        total = 0.0
        model.train()
        for at in range(0, len(groups) - stage.groups + 1, stage.groups):
            for tool in tools:
                for settings in tool.param_groups:
                    settings["lr"] = stage.rate * factor(step, steps, stage)
            for batch in groups[at:at + stage.groups]:
                loss = loss_of(model, batch) / stage.groups
                loss.backward()
                total += loss.item()
                tokens += batch.ids.numel()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for tool in tools:
                tool.step()
                tool.zero_grad(set_to_none=True)
            step += 1
            if step % 50 == 0:
                print(f"{stage.name} epoch {epoch + 1} step {step}/{steps} loss {loss.item() * stage.groups:.3f} "
                      f"{tokens / (time.time() - began):.0f} tokens/s {(time.time() - began) / 60:.1f} min", flush=True)
        print(f"{stage.name} epoch {epoch + 1}: mean loss {total / (len(groups) // stage.groups):.3f}", flush=True)
        model.eval()
        if after:
            after(epoch + 1)
    return {"epochs": stage.epochs, "steps": step, "tokens": tokens, "minutes": round((time.time() - began) / 60, 1)}
