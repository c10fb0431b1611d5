"""llama.cpp as a contestant, through its C API, with its best settings: where it is not clear which are the best, several
are tried before the first measurement, and the fastest is kept."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import llama_cpp
import numpy as np
from serve import Contestant, Request, Work, nothing, samples, seconds, serve

#: Tokens of a pass over the weights.
PASS = 512
#: Positions of a context; enough for every measure of one text.
CONTEXT = 1024
#: Texts of a batch that go into one call.
GROUPS = (16, 64)
FLASH = (llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED, llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED)


@llama_cpp.llama_log_callback
def silent(*_: object) -> None:
    """What it logs is of no use here."""


class Context:
    """A context of the model: conversations with one KV."""

    def __init__(self, model: object, threads: int, flash: int, length: int, sequences: int = 2) -> None:
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = length
        parameters.n_batch = max(PASS, length)
        parameters.n_ubatch = PASS
        parameters.n_seq_max = sequences
        parameters.kv_unified = True
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = flash
        parameters.no_perf = True
        self.pointer = llama_cpp.llama_init_from_model(model, parameters)
        if not self.pointer:
            raise RuntimeError("llama.cpp makes no context")
        self.memory = llama_cpp.llama_get_memory(self.pointer)
        self.tokens = llama_cpp.llama_batch_init(parameters.n_batch, 0, 1)
        vocabulary = llama_cpp.llama_model_get_vocab(model)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(vocabulary)
        #: The sequence that keeps the KV of each prefix.
        self.kept: dict[tuple[int, ...], int] = {}

    def add(self, token: int, position: int, sequence: int, logits: bool) -> None:
        """Puts a token into the next pass."""
        batch, number = self.tokens, self.tokens.n_tokens
        batch.token[number] = token
        batch.pos[number] = position
        batch.n_seq_id[number] = 1
        batch.seq_id[number][0] = sequence
        batch.logits[number] = logits
        batch.n_tokens += 1

    def compute(self) -> None:
        """Runs what was added."""
        if llama_cpp.llama_decode(self.pointer, self.tokens) != 0:
            raise RuntimeError("llama_decode failed")
        self.tokens.n_tokens = 0

    def extend(self, tokens: list[int], position: int, sequence: int = 0) -> None:
        """Computes `tokens` from `position` on, and the logits of what may come next."""
        for number, token in enumerate(tokens):
            self.add(token, position + number, sequence, number == len(tokens) - 1)
        self.compute()

    def logits(self, number: int = -1) -> np.ndarray:
        """The logits after a token of the last pass, by its number in it."""
        pointer = llama_cpp.llama_get_logits_ith(self.pointer, number)
        return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (self.vocabulary,))

    def forget(self, sequence: int = 0, start: int = 0) -> None:
        """Forgets a sequence from `start` on."""
        llama_cpp.llama_memory_seq_rm(self.memory, sequence, start, -1)

    def decode(self, position: int, steps: int, sequence: int = 0) -> None:
        """Takes the likeliest token and computes what may follow it, `steps` times."""
        for step in range(steps):
            self.extend([int(self.logits().argmax())], position + step, sequence)

    def keep(self, prefix: list[int]) -> int:
        """The sequence with the KV of `prefix`, which is computed once."""
        key = tuple(prefix)
        if key not in self.kept:
            self.kept[key] = len(self.kept)
            self.extend(prefix, 0, self.kept[key])
        return self.kept[key]

    def generate(self, job: Request) -> None:
        """Answers a prompt whose prefix it keeps with so many tokens."""
        prompt, prefix, steps = job["prompt"], job["prefix"], job["steps"]
        sequence = self.keep(prompt[:prefix])
        self.extend(prompt[prefix:], prefix, sequence)
        # The last token need not be computed.
        self.decode(len(prompt), steps - 1, sequence)
        self.logits().argmax()
        self.forget(sequence, prefix)


class Llama(Contestant):
    """llama.cpp with one model."""

    def load(self, request: Request) -> Request:
        llama_cpp.llama_log_set(silent, None)
        llama_cpp.llama_backend_init()
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self.threads = request["threads"]
        self.model = llama_cpp.llama_model_load_from_file(request["path"].encode(), parameters)
        if not self.model:
            raise RuntimeError(f"llama.cpp does not load {request['path']}")
        self.fastest: dict[str, int] = {}
        switches = llama_cpp.llama_print_system_info().decode().replace("CPU :", "").split("|")
        return {"kernels": " ".join(switch.split()[0] for switch in switches if switch.strip().endswith("= 1"))}

    @cache
    def context(self, flash: int, length: int = CONTEXT, sequences: int = 2) -> Context:
        """A context, made once."""
        return Context(self.model, self.threads, flash, length, sequences)

    def best(self, name: str, variants: list[tuple[Work, Work]]) -> Request:
        """Measures the variant, each with its preparation, that was the fastest when they were tried."""
        if name not in self.fastest:
            tries = []
            for work, prepare in variants:
                prepare()
                work()
                prepare()
                tries.append(seconds(work))
            self.fastest[name] = tries.index(min(tries))
        return samples(*variants[self.fastest[name]])

    def with_flash_and_without(self, name: str, work: Callable[[Context], object]) -> Request:
        return self.best(name, [(lambda c=self.context(flash): work(c), nothing) for flash in FLASH])

    def prefill(self, request: Request) -> Request:
        tokens = request["tokens"]
        variants = [(lambda c=c: c.extend(tokens, 0), c.forget) for c in map(self.context, FLASH)]
        return self.best(f"prefill {len(tokens)}", variants)

    def decode(self, request: Request) -> Request:
        tokens, steps = request["tokens"], request["steps"]

        def fill(context: Context) -> None:
            context.forget()
            context.extend(tokens, 0)

        contexts = map(self.context, FLASH)
        variants = [(lambda c=c: c.decode(len(tokens), steps), lambda c=c: fill(c)) for c in contexts]
        return self.best("decode", variants)

    def find(self, job: Request) -> None:
        # No more KV than the prompt needs.
        self.context(FLASH[0], len(job["prompt"]) + job["steps"], 1).generate(job)

    def label(self, request: Request) -> Request:
        return self.with_flash_and_without("label", lambda context: context.generate(request))

    def turn(self, request: Request) -> Request:
        def both(context: Context) -> None:
            context.generate(request["label"])
            context.generate(request["reply"])

        return self.with_flash_and_without("turn", both)

    def batch(self, request: Request) -> Request:
        prompts, prefix = request["prompts"], request["prefix"]
        length = prefix + sum(len(prompt) - prefix for prompt in prompts)

        def group(context: Context, some: list[list[int]]) -> None:
            base, ends = context.keep(prompts[0][:prefix]), []
            for sequence, prompt in enumerate(some, base + 1):
                llama_cpp.llama_memory_seq_cp(context.memory, base, sequence, 0, prefix)
                for position in range(prefix, len(prompt)):
                    context.add(prompt[position], position, sequence, position == len(prompt) - 1)
                ends.append(context.tokens.n_tokens - 1)
            context.compute()
            for end in ends:
                context.logits(end)[request["labels"]].argmax()
            for sequence in range(base + 1, base + 1 + len(some)):
                context.forget(sequence)

        def classify(context: Context, size: int) -> None:
            for start in range(0, len(prompts), size):
                group(context, prompts[start : start + size])

        contexts = [self.context(flash, length, len(prompts) + 1) for flash in FLASH]
        variants = [(lambda c=c, s=size: classify(c, s), nothing) for c in contexts for size in GROUPS]
        return self.best("batch", variants)

    def logits(self, request: Request) -> Request:
        context, tokens = self.context(FLASH[0]), request["tokens"]
        context.forget()
        for position, token in enumerate(tokens):
            context.add(token, position, 0, True)
        context.compute()
        with open(request["file"], "wb") as file:
            for number in range(len(tokens)):
                file.write(context.logits(number).astype(np.float32).tobytes())
        return {}


if __name__ == "__main__":
    serve(Llama())
