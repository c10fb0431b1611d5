"""PyTorch transformers as a contestant: a loop of its own in place of generate(), which is slower, the KV of a prefix
computed once, logits of the last token only."""

from __future__ import annotations

import torch
from serve import Contestant, Request, Work, nothing, samples, seconds, serve
from transformers import AutoModelForCausalLM, DynamicCache, logging

#: Texts of a batch that go into one pass; the faster of the two is kept.
GROUPS = (16, 64)


class Transformers(Contestant):
    """transformers with one model."""

    def load(self, request: Request) -> Request:
        logging.disable_progress_bar()
        torch.set_num_threads(request["threads"])
        torch.set_grad_enabled(False)
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[request["precision"]]
        self.model = AutoModelForCausalLM.from_pretrained(request["path"], dtype=dtype).eval()
        self.kept: dict[tuple[int, ...], DynamicCache] = {}
        self.group: int | None = None
        return {"threads": torch.get_num_threads(), "kernels": torch.backends.cpu.get_cpu_capability()}

    def new_cache(self) -> DynamicCache:
        return DynamicCache(config=self.model.config)

    @torch.inference_mode()
    def extend(self, tokens: list[int], cache: DynamicCache) -> torch.Tensor:
        """Computes `tokens` after those in `cache`, and the logits of what may come next."""
        ids = torch.tensor([tokens])
        return self.model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]

    def decode_after(self, logits: torch.Tensor, cache: DynamicCache, steps: int) -> torch.Tensor:
        """Takes the likeliest token and computes what may follow it, `steps` times."""
        for _ in range(steps):
            logits = self.extend([int(logits.argmax())], cache)
        return logits

    def keep(self, prefix: list[int]) -> DynamicCache:
        """The KV of `prefix`, which is computed once."""
        key = tuple(prefix)
        if key not in self.kept:
            self.kept[key] = self.new_cache()
            self.extend(prefix, self.kept[key])
        return self.kept[key]

    def generate(self, job: Request) -> None:
        """Answers a prompt whose prefix it keeps with so many tokens."""
        prompt, prefix, steps = job["prompt"], job["prefix"], job["steps"]
        cache = self.keep(prompt[:prefix])
        # The last token need not be computed.
        self.decode_after(self.extend(prompt[prefix:], cache), cache, steps - 1).argmax()
        forget_after(cache, prefix)

    def prefill(self, request: Request) -> Request:
        return samples(lambda: self.extend(request["tokens"], self.new_cache()))

    def decode(self, request: Request) -> Request:
        tokens, cache = request["tokens"], self.new_cache()
        logits = self.extend(tokens, cache)
        work: Work = lambda: self.decode_after(logits, cache, request["steps"])  # noqa: E731
        return samples(work, lambda: forget_after(cache, len(tokens)))

    def find(self, job: Request) -> None:
        self.generate(job)

    def label(self, request: Request) -> Request:
        self.keep(request["prompt"][: request["prefix"]])
        return samples(lambda: self.generate(request))

    def turn(self, request: Request) -> Request:
        jobs = request["label"], request["reply"]
        for job in jobs:
            self.keep(job["prompt"][: job["prefix"]])
        return samples(lambda: [self.generate(job) for job in jobs])

    @torch.inference_mode()
    def batch(self, request: Request) -> Request:
        prompts, prefix = request["prompts"], request["prefix"]
        rests = [prompt[prefix:] for prompt in prompts]

        def expanded(size: int) -> DynamicCache:
            cache = self.new_cache()
            self.extend(prompts[0][:prefix], cache)
            cache.batch_repeat_interleave(size)
            return cache

        def group(some: list[list[int]], cache: DynamicCache) -> None:
            width = max(map(len, some))
            # What stands to the right of a token does not change it.
            ids = torch.tensor([rest + [0] * (width - len(rest)) for rest in some])
            hidden = self.model.model(ids, past_key_values=cache, use_cache=True).last_hidden_state
            lasts = hidden[range(len(some)), [len(rest) - 1 for rest in some]]
            self.model.lm_head(lasts)[:, request["labels"]].argmax(-1)
            forget_after(cache, prefix)

        def classify(size: int) -> None:
            for start in range(0, len(rests), size):
                group(rests[start : start + size], caches[size])

        caches = {size: expanded(size) for size in GROUPS}
        if self.group is None:
            self.group = min(GROUPS, key=lambda size: (classify(size), seconds(lambda: classify(size)))[1])
        return samples(lambda: classify(self.group), nothing)

    @torch.inference_mode()
    def logits(self, request: Request) -> Request:
        logits = self.model(torch.tensor([request["tokens"]])).logits[0]
        logits.float().numpy().tofile(request["file"])
        return {}


def forget_after(cache: DynamicCache, length: int) -> None:
    """Forgets all but the first `length` tokens."""
    # Less than nothing are so many of the last.
    cache.crop(length - cache.get_seq_length())


if __name__ == "__main__":
    serve(Transformers())
