"""Writes the model as one GGUF file with Q8_0 matrices, reads it back, and checks it against `transformers`."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import torch

import tokenizer as bpe
from model import Config, Qwen2
from tokenizer import Chat

LICENSE = "MIT OR Apache-2.0"
DESCRIPTION = ("A demonstration model of a few million parameters for qaio's own prompts (sentiment, short replies; "
               "Chinese and English). Not a general chat model.")
TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
#: Greedy without a penalty reads best: the plain replies repeat words (一件一件) on purpose.
SAMPLING = {"temp": 0.0, "top_k": 20, "top_p": 0.9, "penalty_repeat": 1.0}
_NAMES = {
    "embed_tokens": "token_embd", "norm": "output_norm",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    """`layers.0.self_attn.q_proj.bias` to `blk.0.attn_q.bias`, as llama.cpp's converter does."""
    stem, kind = name.rsplit(".", 1)
    if stem.startswith("layers."):
        _, number, inner = stem.split(".", 2)
        return f"blk.{number}.{_NAMES[inner]}.{kind}"
    return f"{_NAMES[stem]}.{kind}"


def write(model: Qwen2, tokenizer: Path, path: Path) -> None:
    """Write weights, tokenizer, chat template and sampling defaults."""
    c = model.c
    out = gguf.GGUFWriter(path, "qwen2")
    out.add_name("qaio-mini")
    out.add_version("1")
    out.add_license(LICENSE)
    out.add_description(DESCRIPTION)
    out.add_block_count(c.layers)
    out.add_context_length(c.context)
    out.add_embedding_length(c.hidden)
    out.add_feed_forward_length(c.intermediate)
    out.add_head_count(c.heads)
    out.add_head_count_kv(c.kv_heads)
    out.add_layer_norm_rms_eps(c.eps)
    out.add_rope_freq_base(c.theta)
    out.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    out.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for key, value in SAMPLING.items():
        add = out.add_float32 if isinstance(value, float) else out.add_int32
        add(f"general.sampling.{key}", value)
    _write_tokenizer(out, tokenizer)
    for name, tensor in model.state_dict().items():
        array = tensor.float().numpy()
        if array.ndim == 2:
            blocks = gguf.quants.quantize(array, gguf.GGMLQuantizationType.Q8_0)
            out.add_tensor(gguf_name(name), blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            out.add_tensor(gguf_name(name), array)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def _write_tokenizer(out: gguf.GGUFWriter, path: Path) -> None:
    source = json.loads(path.read_text(encoding="utf-8"))
    vocab = source["model"]["vocab"] | {t["content"]: t["id"] for t in source["added_tokens"]}
    tokens = sorted(vocab, key=vocab.__getitem__)
    assert [vocab[t] for t in tokens] == list(range(len(tokens)))
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list(tokens)
    out.add_token_types([3 if t in bpe.CONTROL else 1 for t in tokens])
    out.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in source["model"]["merges"]])
    out.add_eos_token_id(vocab[bpe.IM_END])
    out.add_eot_token_id(vocab[bpe.IM_END])
    out.add_pad_token_id(vocab[bpe.END_OF_TEXT])
    out.add_add_bos_token(False)
    out.add_chat_template(TEMPLATE)


def read(path: Path) -> Qwen2:
    """The model of a GGUF file written by `write`, its matrices dequantised."""
    file = gguf.GGUFReader(path)

    def field(key: str) -> float:
        return file.fields[key].contents()

    heads, hidden = field("qwen2.attention.head_count"), field("qwen2.embedding_length")
    tensors = {t.name: torch.from_numpy(np.array(gguf.quants.dequantize(t.data, t.tensor_type), dtype=np.float32))
               for t in file.tensors}
    model = Qwen2(Config(
        vocab=len(tensors["token_embd.weight"]), hidden=hidden, layers=field("qwen2.block_count"), heads=heads,
        kv_heads=field("qwen2.attention.head_count_kv"), head_dim=hidden // heads,
        intermediate=field("qwen2.feed_forward_length"), context=field("qwen2.context_length"),
        theta=field("qwen2.rope.freq_base"), eps=field("qwen2.attention.layer_norm_rms_epsilon")))
    model.load_state_dict({name: tensors[gguf_name(name)] for name in model.state_dict()})
    return model.eval()


def read_tokenizer(path: Path) -> Chat:
    """The tokenizer of a GGUF file, rebuilt from its metadata."""
    file = gguf.GGUFReader(path)
    tokens = file.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in file.fields["tokenizer.ggml.merges"].contents()]
    return Chat(bpe.build({t: i for i, t in enumerate(tokens) if t not in bpe.CONTROL}, merges))


def check(path: Path) -> float:
    """Largest difference of logits between the file in `model.py` and in transformers' Qwen2ForCausalLM."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    ours = read(path)
    c = ours.c
    theirs = Qwen2ForCausalLM(Qwen2Config(
        vocab_size=c.vocab, hidden_size=c.hidden, intermediate_size=c.intermediate, num_hidden_layers=c.layers,
        num_attention_heads=c.heads, num_key_value_heads=c.kv_heads, max_position_embeddings=c.context,
        rms_norm_eps=c.eps, rope_parameters={"rope_type": "default", "rope_theta": c.theta}, tie_word_embeddings=True,
        use_sliding_window=False)).eval()
    missing, unexpected = theirs.load_state_dict({f"model.{k}": v for k, v in ours.state_dict().items()}, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    theirs.tie_weights()
    ids = torch.randint(0, c.vocab, (2, 200), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        difference = (ours(ids) - theirs(ids).logits).abs().max().item()
    assert difference < 1e-2, difference
    return difference
