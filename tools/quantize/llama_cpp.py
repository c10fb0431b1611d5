"""Loads what `qaio quantize` writes into llama.cpp, and compares the likeliest replies of the two, token by token.

    cargo build --release --workspace
    pip install -r tools/quantize/requirements.txt        # builds llama.cpp: minutes
    python tools/quantize/llama_cpp.py target/release/qaio [GGUF...]

Without a GGUF file it makes two checkpoints of random numbers, a Qwen2 and a Qwen3, quantises them (and the built-in
model) to each type, and compares all of these. qaio computes through bindings/python, so QAIO_LIBRARY applies.

Both programs round activations too, each in its own way, so two tokens that are nearly as likely may change places. How
much that rounding changes logits is measured: llama.cpp scores the same weights once more in f16, where nothing is rounded
to 8 bits. It is a failure if tokens differ whose logits are further apart than that explains, if the prompts differ, or if
a file does not load.
"""

from __future__ import annotations

import argparse
import codecs
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
# This file's own directory last: there is a llama_cpp in it too.
sys.path.append(sys.path.pop(0))
sys.path.append(str(ROOT / "tools" / "mini"))
sys.path.insert(0, str(ROOT / "bindings" / "python"))
import checkpoint  # noqa: E402
import llama_cpp  # noqa: E402
import prompts  # noqa: E402
import qaio  # noqa: E402

TYPES = ("f16", "q8_0", "q4_0", "q4_k")
TOKENS = 24
#: Two logits of two programs, each with this noise: six times it is three standard deviations.
CLEARLY = 6.0
#: Likeliest tokens whose logits are compared to find the noise.
FAVOURITES = 32
#: The noise of f16 itself, in standard deviations of all logits.
LEAST_NOISE = 1e-3
TEXTS = (
    "My cat is back!",
    "I passed my exam and I can hardly believe it.",
    "The train was late again and nobody said a word.",
    "What a day.",
    "I lost my keys, my phone and my patience.",
    "终于把bug修完了，感觉整个人都轻松了！",
    "项目延期了，客户又要投诉，压力好大。",
    "今天天气很好，我们去公园走了走。",
    "我很想家。",
    "老板今天表扬了我！",
)


@dataclass
class Comparison:
    """What came of one file."""

    agreed: int = 0
    #: Of each reply that went another way: how far apart the two best logits were, in units of the noise.
    gaps: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems and all(gap <= CLEARLY for gap in self.gaps)

    def __str__(self) -> str:
        compared = self.agreed + len(self.gaps)
        line = f"{self.agreed} of {compared} tokens, {len(TEXTS) - len(self.gaps)} of {len(TEXTS)} replies agree"
        if self.gaps:
            line += "; where not, the two best are apart by " + ", ".join(f"{gap:.1f}" for gap in self.gaps) + " x noise"
        return "; ".join([line, *self.problems])


class Llama:
    """A model in llama.cpp."""

    def __init__(self, path: Path) -> None:
        self.model = llama_cpp.Llama(str(path), n_ctx=512, logits_all=True, verbose=False)
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model.model)
        metadata = self.model.metadata
        thinks = metadata["general.architecture"] == "qwen3"
        self.thinks = thinks and "enable_thinking" in metadata.get("tokenizer.chat_template", "enable_thinking")
        self.padding = int(metadata.get("tokenizer.ggml.padding_token_id", -1))

    def prompt(self, text: str, mood: str | None) -> list[int]:
        """The ids of the prompt that qaio makes of a text."""
        said = prompts.reply_user(text, mood)
        chat = f"<|im_start|>system\n{prompts.REPLY_SYSTEM}<|im_end|>\n<|im_start|>user\n{said}<|im_end|>\n"
        chat += "<|im_start|>assistant\n" + ("<think>\n\n</think>\n\n" if self.thinks else "")
        return self.model.tokenize(chat.encode(), add_bos=False, special=True)

    def likeliest(self, prompt: list[int]) -> list[int]:
        """The likeliest reply."""
        tokens: list[int] = []
        while len(tokens) < TOKENS:
            best = int(self.logits([*prompt, *tokens]).argmax())
            if llama_cpp.llama_vocab_is_eog(self.vocabulary, best) or best == self.padding:
                break
            tokens.append(best)
        return tokens

    def logits(self, tokens: list[int]) -> np.ndarray:
        """The logits of what may come after `tokens`."""
        if self.model.n_tokens and tokens[: self.model.n_tokens] == self.model._input_ids.tolist():
            tokens = tokens[self.model.n_tokens :]
        else:
            self.model.reset()
        self.model.eval(tokens)
        return self.model.scores[self.model.n_tokens - 1].copy()

    def spelling(self, token: int) -> bytes:
        return self.model.detokenize([token])


def common(spellings: list[bytes], text: str) -> tuple[int, int]:
    """How many tokens spell the beginning of a text: certainly, and perhaps (a character may have several tokens)."""
    decoder, spelled, certain = codecs.getincrementaldecoder("utf-8")("replace"), "", 0
    for count, spelling in enumerate(spellings):
        spelled += decoder.decode(spelling)
        if not text.startswith(spelled):
            return certain, count
        if not decoder.getstate()[0]:
            certain = count + 1
    return certain, len(spellings)


class Noise:
    """What rounding does to the logits of a file: they are compared with those of the same weights in f16."""

    def __init__(self, binary: Path, path: Path, llama: Llama, directory: Path) -> None:
        self.llama = llama
        exact = directory / "exact.gguf"
        quantize(binary, path, exact, "f16", "--force")
        self.exact = Llama(exact)

    def gap(self, tokens: list[int]) -> float:
        """How far apart the two best tokens after `tokens` are, in units of the noise."""
        logits = self.llama.logits(tokens)
        # Of the tokens that matter: some have no noise at all, such as those whose row is zero.
        best = np.argsort(logits)[-FAVOURITES:]
        noise = float((logits - self.exact.logits(tokens))[best].std())
        return float(logits[best[-1]] - logits[best[-2]]) / max(noise, LEAST_NOISE * float(logits.std()))


def compare(binary: Path, path: Path, directory: Path) -> Comparison:
    """The likeliest replies of both programs to each text."""
    result, llama, noise = Comparison(), Llama(path), None
    with qaio.load(path) as model:
        for text in TEXTS:
            sentiment = model.sentiment(text)
            reply = model.reply(text, sentiment=sentiment, temperature=0, repetition_penalty=1, max_tokens=TOKENS)
            prompt = llama.prompt(text, None if sentiment.unsure else sentiment.label)
            if len(prompt) != reply.usage.prompt_tokens:
                lengths = f"{reply.usage.prompt_tokens} and {len(prompt)} tokens"
                result.problems.append(f"the prompts of {text!r} have {lengths}")
                continue
            tokens = llama.likeliest(prompt)
            spellings = [llama.spelling(token) for token in tokens]
            same = len(tokens) == reply.usage.reply_tokens
            if same and b"".join(spellings).decode("utf-8", "replace") == reply.text:
                result.agreed += len(tokens)
                continue
            certain, perhaps = common(spellings, reply.text)
            noise = noise or Noise(binary, path, llama, directory)
            result.agreed += certain
            result.gaps.append(min(noise.gap(prompt + tokens[:count]) for count in range(certain, perhaps + 1)))
    return result


def quantize(binary: Path, source: Path, output: Path, to: str, *more: str) -> None:
    """Runs qaio, which says on standard error that weights that are quantised already become no better."""
    command = [binary, "quantize", "--json", "--allow-requantize", source, output, "--to", to, *more]
    done = subprocess.run(command, check=True, capture_output=True)
    assert json.loads(done.stdout)["output_bytes"] == output.stat().st_size


def made(binary: Path, directory: Path) -> list[Path]:
    """Files of each type, from a Qwen2 and a Qwen3 of random numbers and from the built-in model."""
    files = []
    sources = [checkpoint.make(directory, family) for family in ("qwen2", "qwen3")]
    sources.append(ROOT / "src" / "builtin" / "qaio-mini.gguf")
    for source in sources:
        for to in TYPES:
            output = directory / f"{source.stem}-{to}.gguf"
            quantize(binary, source, output, to)
            files.append(output)
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", metavar="QAIO_BINARY", type=Path)
    parser.add_argument("files", metavar="GGUF", type=Path, nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        passed = True
        for path in arguments.files or made(arguments.binary, Path(directory)):
            result = compare(arguments.binary, path, Path(directory))
            passed &= result.passed
            print(f"{'ok  ' if result.passed else 'FAIL'} {path.name}: {result}", flush=True)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
