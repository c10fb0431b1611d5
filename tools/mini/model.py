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

    vocab: int = 8192
    hidden: int = 256
    layers: int = 4
    heads: int = 8
    kv_heads: int = 4
    head_dim: int = 32
    intermediate: int = 640
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


#: Cosines and sines, [1, 1, tokens, head_dim] each.
Angles = tuple[Tensor, Tensor]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding, halves convention. x: [batch, heads, tokens, head_dim]; cos, sin: [1, 1, tokens, head_dim]."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Attention(nn.Module):
    """Grouped-query attention: of a prefix to itself, and of sequences to the prefix and themselves."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c = c
        self.q_proj = nn.Linear(c.hidden, c.heads * c.head_dim)
        self.k_proj = nn.Linear(c.hidden, c.kv_heads * c.head_dim)
        self.v_proj = nn.Linear(c.hidden, c.kv_heads * c.head_dim)
        self.o_proj = nn.Linear(c.heads * c.head_dim, c.hidden, bias=False)

    def _project(self, x: Tensor, angles: Angles) -> tuple[Tensor, Tensor, Tensor]:
        b, t, _ = x.shape
        q, k, v = (p(x).view(b, t, p.out_features // self.c.head_dim, self.c.head_dim).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        groups = self.c.heads // self.c.kv_heads
        return rotate(q, *angles), rotate(k, *angles).repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)

    def _joined(self, heads: Tensor) -> Tensor:
        b, _, t, _ = heads.shape
        return self.o_proj(heads.transpose(1, 2).reshape(b, t, self.o_proj.in_features))

    def forward(self, head: Tensor, x: Tensor, head_angles: Angles, angles: Angles, mask: Tensor) -> tuple[Tensor, Tensor]:
        """head: [1, prefix, hidden]; x: [batch, tokens, hidden]; mask: [tokens, prefix + tokens], added to the scores."""
        hq, hk, hv = self._project(head, head_angles)
        q, k, v = self._project(x, angles)
        many = len(x)
        keys, values = torch.cat((hk.expand(many, -1, -1, -1), k), 2), torch.cat((hv.expand(many, -1, -1, -1), v), 2)
        before = F.scaled_dot_product_attention(hq, hk, hv, is_causal=True)
        return self._joined(before), self._joined(F.scaled_dot_product_attention(q, keys, values, attn_mask=mask))


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

    def forward(self, head: Tensor, x: Tensor, head_angles: Angles, angles: Angles, mask: Tensor,
                dropout: float) -> tuple[Tensor, Tensor]:
        """[1, prefix, hidden] and [batch, tokens, hidden] to the same."""
        def drop(y: Tensor) -> Tensor:
            return F.dropout(y, dropout, self.training)

        head_mixed, mixed = self.self_attn(self.input_layernorm(head), self.input_layernorm(x), head_angles, angles, mask)
        head, x = head + drop(head_mixed), x + drop(mixed)
        return tuple(y + drop(self.mlp(self.post_attention_layernorm(y))) for y in (head, x))


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

    def hidden(self, head: Tensor, ids: Tensor) -> Tensor:
        """head: [prefix], tokens that stand before each sequence; ids: [batch, tokens]. Returns [batch, tokens, hidden]."""
        first, tokens = len(head), ids.shape[1]
        half = torch.arange(0, self.c.head_dim, 2, dtype=torch.float32) / self.c.head_dim
        angle = torch.arange(first + tokens)[:, None].float() / self.c.theta ** half
        angle = torch.cat((angle, angle), -1)[None, None]
        cos, sin = angle.cos(), angle.sin()
        head_angles, angles = (cos[:, :, :first], sin[:, :, :first]), (cos[:, :, first:], sin[:, :, first:])
        mask = torch.full((tokens, first + tokens), float("-inf")).triu(first + 1)
        before, x = (F.dropout(self.embed_tokens(y), self.dropout, self.training) for y in (head[None], ids))
        for layer in self.layers:
            before, x = layer(before, x, head_angles, angles, mask, self.dropout)
        return self.norm(x)

    def logits(self, states: Tensor) -> Tensor:
        """[.., hidden] to [.., vocab]."""
        return states @ self.embed_tokens.weight.T

    def forward(self, ids: Tensor) -> Tensor:
        """Plain causal logits: [batch, tokens] to [batch, tokens, vocab]."""
        return self.logits(self.hidden(ids[0, :0], ids))

    def parameter_count(self) -> int:
        """Parameters, the tied embedding counted once."""
        return sum(p.numel() for p in self.parameters())
