"""qaio as a contestant: the library, as any Python program calls it. (Its engine alone is benches/contestant.)"""

from __future__ import annotations

import sys
from pathlib import Path

from serve import Contestant, Request, samples, serve

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings" / "python"))
import qaio  # noqa: E402

#: Greedy, as the others are.
GREEDY = {"temperature": 0, "repetition_penalty": 1}


class Qaio(Contestant):
    """The library with one model."""

    def load(self, request: Request) -> Request:
        # No path is the built-in model.
        self.model = qaio.load(request["path"], precision=request["precision"], threads=request["threads"])
        return self.model.info()

    def find(self, job: Request) -> None:
        self.model.classify_sentiment(job["text"])

    def label(self, request: Request) -> Request:
        return samples(lambda: self.find(request))

    def say(self, job: Request) -> qaio.Turn:
        """Sentiment and reply."""
        return self.model.turn(job["text"], max_tokens=job["steps"], **GREEDY)

    def turn(self, request: Request) -> Request:
        return samples(lambda: self.say(request["reply"]))

    def said(self, request: Request) -> Request:
        """What a turn says, so that the others can do the same."""
        turn = self.say(request)
        return {
            "mood": None if turn.sentiment.unsure else turn.sentiment.label,
            "label_tokens": turn.sentiment.usage.prompt_tokens,
            "prompt_tokens": turn.reply.usage.prompt_tokens,
            "reply_tokens": turn.reply.usage.reply_tokens,
        }

    def batch(self, request: Request) -> Request:
        task = self.model.task("sentiment")
        return samples(lambda: task.classify_batch(request["texts"]))


if __name__ == "__main__":
    serve(Qaio())
