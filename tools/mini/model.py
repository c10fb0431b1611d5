"""Qwen2 in one page of PyTorch: RMSNorm, rotary positions, biased q/k/v, grouped queries, SwiGLU, tied embeddings.

Names follow the Hugging Face checkpoint, so that `transformers` loads the same state dict (see `export.check`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """The shape of qaio-mini. Every width is a multiple of 32, the block of Q8_0."""

    vocab: int = 7168
    hidden: int = 256
    layers: int = 5
    heads: int = 8
    kv_heads: int = 4
    head_dim: int = 32
    intermediate: int = 704
    context: int = 2048
    theta: float = 10000.0
    eps: float = 1e-6


class RMSNorm(nn.Module):
    """x / rms(x) * weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[.., width] to the same."""
        return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding, halves convention. x: [batch, heads, tokens, head_dim]; cos, sin: [batch, 1, tokens, head_dim]."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Attention(nn.Module):
    """Grouped-query attention under a given mask."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c = c
        self.q_proj = nn.Linear(c.hidden, c.heads * c.head_dim)
        self.k_proj = nn.Linear(c.hidden, c.kv_heads * c.head_dim)
        self.v_proj = nn.Linear(c.hidden, c.kv_heads * c.head_dim)
        self.o_proj = nn.Linear(c.heads * c.head_dim, c.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """x: [batch, tokens, hidden]; mask: [batch, 1, tokens, tokens], added to the scores."""
        b, t, _ = x.shape
        q, k, v = (p(x).view(b, t, -1, self.c.head_dim).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        groups = self.c.heads // self.c.kv_heads
        k = rotate(k, cos, sin).repeat_interleave(groups, 1)
        v = v.repeat_interleave(groups, 1)
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), k, v, attn_mask=mask)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden, c.intermediate, bias=False)
        self.up_proj = nn.Linear(c.hidden, c.intermediate, bias=False)
        self.down_proj = nn.Linear(c.intermediate, c.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[.., hidden] to the same."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Pre-norm attention and MLP, each with a residual; dropout on both branches while training."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(c.hidden, c.eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RMSNorm(c.hidden, c.eps)
        self.mlp = MLP(c)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, dropout: float) -> Tensor:
        """[batch, tokens, hidden] to the same."""
        x = x + F.dropout(self.self_attn(self.input_layernorm(x), cos, sin, mask), dropout, self.training)
        return x + F.dropout(self.mlp(self.post_attention_layernorm(x)), dropout, self.training)


class Qwen2(nn.Module):
    """The whole model. `hidden` gives final states; `logits` multiplies some of them with the tied embedding."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c = c
        self.dropout = 0.0
        self.embed_tokens = nn.Embedding(c.vocab, c.hidden)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = RMSNorm(c.hidden, c.eps)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.dim() == 2:
                deep = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=0.03 / (2 * c.layers) ** 0.5 if deep else 0.03)

    def hidden(self, ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """ids, positions: [batch, tokens]; mask: [batch, 1, tokens, tokens]. Returns [batch, tokens, hidden]."""
        half = torch.arange(0, self.c.head_dim, 2, dtype=torch.float32) / self.c.head_dim
        angle = positions[:, None, :, None].float() / self.c.theta ** half
        angle = torch.cat((angle, angle), -1)
        cos, sin = angle.cos(), angle.sin()
        x = F.dropout(self.embed_tokens(ids), self.dropout, self.training)
        for layer in self.layers:
            x = layer(x, cos, sin, mask, self.dropout)
        return self.norm(x)

    def logits(self, states: Tensor) -> Tensor:
        """[.., hidden] to [.., vocab]."""
        return states @ self.embed_tokens.weight.T

    def _causal(self, ids: Tensor) -> Tensor:
        t = ids.shape[1]
        mask = torch.full((t, t), float("-inf")).triu(1)[None, None]
        return self.hidden(ids, torch.arange(t)[None].expand_as(ids), mask)

    def forward(self, ids: Tensor) -> Tensor:
        """Plain causal logits: [batch, tokens] to [batch, tokens, vocab]."""
        return self.logits(self._causal(ids))

    def last(self, ids: Tensor) -> Tensor:
        """Logits after the last token: [batch, tokens] to [batch, vocab]."""
        return self.logits(self._causal(ids)[:, -1])

    def parameter_count(self) -> int:
        """Parameters, the tied embedding counted once."""
        return sum(p.numel() for p in self.parameters())
