"""A GGUF file of Qwen2 as a directory in Hugging Face's layout: the same numbers, for transformers."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType, GGUFReader, TokenType

ROOT = Path(__file__).resolve().parents[2]
#: How Qwen's tokenizers cut a text before they merge, and everything else that does not depend on the vocabulary.
TOKENIZER = ROOT / "tests" / "fixtures" / "qwen2-tiny" / "tokenizer.json"
TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TYPES = {GGMLQuantizationType.F32: ("F32", 4), GGMLQuantizationType.BF16: ("BF16", 2)}


def convert(source: Path, directory: Path) -> None:
    """Writes `directory`, which appears when it is complete."""
    reader = GGUFReader(source)
    if (architecture := value(reader, "general.architecture")) != "qwen2":
        raise SystemExit(f"{source}: {architecture} is not Qwen2, the only architecture that is compared")
    part = directory.with_name(directory.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    (part / "config.json").write_text(json.dumps(config(reader), indent=2))
    (part / "tokenizer.json").write_text(json.dumps(tokenizer(reader)))
    write_safetensors(reader, part / "model.safetensors")
    part.rename(directory)


def value(reader: GGUFReader, key: str) -> Any:
    return reader.fields[key].contents()


def config(reader: GGUFReader) -> dict[str, Any]:
    def number(name: str) -> Any:
        return value(reader, f"qwen2.{name}")

    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_act": "silu",
        "hidden_size": number("embedding_length"),
        "intermediate_size": number("feed_forward_length"),
        "max_position_embeddings": number("context_length"),
        "num_attention_heads": number("attention.head_count"),
        "num_hidden_layers": number("block_count"),
        "num_key_value_heads": number("attention.head_count_kv"),
        "rms_norm_eps": number("attention.layer_norm_rms_epsilon"),
        "rope_theta": number("rope.freq_base"),
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in reader.tensors),
        "torch_dtype": "bfloat16",
        "use_sliding_window": False,
        "vocab_size": len(value(reader, "tokenizer.ggml.tokens")),
    }


def tokenizer(reader: GGUFReader) -> dict[str, Any]:
    tokens, types = value(reader, "tokenizer.ggml.tokens"), value(reader, "tokenizer.ggml.token_type")
    special = {number for number, kind in enumerate(types) if kind == TokenType.CONTROL}
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    out = json.loads(TOKENIZER.read_text(encoding="utf-8"))
    out["added_tokens"] = [{"id": number, "content": tokens[number], **added} for number in sorted(special)]
    out["model"]["vocab"] = {token: number for number, token in enumerate(tokens) if number not in special}
    out["model"]["merges"] = value(reader, "tokenizer.ggml.merges")
    return out


def write_safetensors(reader: GGUFReader, path: Path) -> None:
    header: dict[str, Any] = {}
    end = 0
    for tensor in reader.tensors:
        kind, width = TYPES[tensor.tensor_type]
        shape = [int(length) for length in reversed(tensor.shape)]
        size = int(tensor.n_elements) * width
        header[name(tensor.name)] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    head = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for tensor in reader.tensors:
            file.write(tensor.data.tobytes())


def name(gguf: str) -> str:
    """What Hugging Face calls a tensor."""
    stem, kind = gguf.rsplit(".", 1)
    if stem in TOP:
        return f"{TOP[stem]}.{kind}"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{LAYER[part]}.{kind}"
