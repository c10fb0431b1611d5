"""What the machine allows: decoding reads all weights for each token, a long prompt multiplies with all of them. From the
shape, the measured bandwidth, and the figures with one thread and with two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Tokens before and while decoding, as it is measured.
DEPTH = 128 + 32 // 2
#: Cores that there may be elsewhere.
PREDICTED = (4, 8)


@dataclass(frozen=True)
class Shape:
    """What one token costs."""

    #: Multiplications with the weights of the layers, and with the output matrix.
    layers: int
    output: int
    #: With keys and values, for each token before.
    attention: int

    @classmethod
    def of(cls, config: dict[str, Any]) -> Shape:
        hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
        keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
        layer = 2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * inner
        return cls(layers * layer, config["vocab_size"] * hidden, 2 * layers * hidden)

    @property
    def decode(self) -> int:
        """Multiplications for a token after DEPTH others."""
        return self.layers + self.output + DEPTH * self.attention

    def prefill(self, length: int) -> float:
        """Multiplications for each of `length` tokens, of which the last alone has logits."""
        return self.layers + self.output / length + length / 2 * self.attention


@dataclass(frozen=True)
class Run:
    """Figures of one format with so many threads, in tokens/s."""

    format: str
    threads: int
    prefill: float
    decode: float
    #: Bytes read for a token while decoding.
    bytes: float
    #: Bytes a second that these threads can read.
    bandwidth: float

    @property
    def bound(self) -> float:
        """Tokens/s, if reading the weights were all."""
        return self.bandwidth / self.bytes

    @property
    def share(self) -> float:
        return self.decode / self.bound


def bytes_per_token(facts: dict[str, Any]) -> float:
    """Of the weights, and of the keys and values."""
    return facts["weight_bytes"] + DEPTH * facts["kv_bytes_per_token"]


def predicted(runs: list[Run], cores: int) -> tuple[float, float]:
    """Prefill and decode with more cores, of the runs of one format: prefill grows with them, decode too, up to what the
    memory of this machine gives."""
    alone = min(runs, key=lambda run: run.threads)
    bound = max(run.bound for run in runs)
    per_core = alone.decode / alone.threads
    return alone.prefill / alone.threads * cores, min(per_core * cores, bound)
