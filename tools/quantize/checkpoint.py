"""A checkpoint of random numbers in the layout of Hugging Face, large enough for blocks of 256, with a tokenizer of the
test fixtures. It says nothing that means anything, but each token it says is clearly its favourite."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures"
HIDDEN, INNER, LAYERS, HEADS, KEYS = 256, 768, 6, 4, 2
#: The fixtures' tokens of one ASCII character come first. Text made of them can be read in one way only.
ASCII = 94


def make(directory: Path, family: str) -> Path:
    """Writes a model of `family`, whose directory is given back."""
    model = directory / f"random-{family}"
    shutil.copytree(FIXTURES / f"{family}-tiny", model)
    config = json.loads((model / "config.json").read_text())
    head = 128 if family == "qwen3" else HIDDEN // HEADS
    config |= {
        "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KEYS, "tie_word_embeddings": False,
    }  # fmt: skip
    if family == "qwen3":
        config["head_dim"] = head
    (model / "config.json").write_text(json.dumps(config))
    write(model / "model.safetensors", tensors(family, config["vocab_size"], head))
    return model


def tensors(family: str, vocabulary: int, head: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) / columns**0.5).astype(np.float32)

    def vector(length: int, around: float = 0.0) -> np.ndarray:
        return (around + 0.1 * random.standard_normal(length)).astype(np.float32)

    output = matrix(vocabulary, HIDDEN)
    # Never its favourites, so that a difference of the text is one of the tokens.
    output[ASCII:] = 0
    out = {
        "model.embed_tokens.weight": matrix(vocabulary, HIDDEN) * 16,
        "lm_head.weight": output,
        "model.norm.weight": vector(HIDDEN, 1.0),
    }
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        for name, rows in (("q", HEADS * head), ("k", KEYS * head), ("v", KEYS * head)):
            out[f"{at}self_attn.{name}_proj.weight"] = matrix(rows, HIDDEN)
            if family == "qwen2":
                out[f"{at}self_attn.{name}_proj.bias"] = vector(rows)
            elif name != "v":
                out[f"{at}self_attn.{name}_norm.weight"] = vector(head, 1.0)
        out[f"{at}self_attn.o_proj.weight"] = matrix(HIDDEN, HEADS * head)
        out[f"{at}mlp.gate_proj.weight"] = matrix(INNER, HIDDEN)
        out[f"{at}mlp.up_proj.weight"] = matrix(INNER, HIDDEN)
        out[f"{at}mlp.down_proj.weight"] = matrix(HIDDEN, INNER)
        for name in ("input_layernorm", "post_attention_layernorm"):
            out[f"{at}{name}.weight"] = vector(HIDDEN, 1.0)
    return out


def write(path: Path, values: dict[str, np.ndarray]) -> None:
    """A safetensors file."""
    header, end = {}, 0
    for name, value in values.items():
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": (end, end + value.nbytes)}
        end += value.nbytes
    head = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for value in values.values():
            file.write(value.tobytes())
