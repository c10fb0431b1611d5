"""What is asked of the contestants: the same ids for all of them."""

from __future__ import annotations

import os.path
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contestants import Contestant

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools" / "mini"))
import prompts  # noqa: E402

#: Tokens of a message, of the line that the others generate in place of a label, of a reply; texts of a batch.
MESSAGE, LINE, REPLY, BATCH = 20, 10, 50, 64
#: What the built-in model knows how to answer.
EVERYDAY = "终于把bug修完了，感觉整个人都轻松了！"
#: Messages are cut from it.
STORY = (
    "终于把那个困扰了我们两个星期的问题修好了，感觉整个人都轻松了，晚上想和朋友们一起出去吃一顿好的庆祝一下，"
    "明天再去公园里慢慢地走一走，看看秋天的树叶。"
)


@dataclass
class Jobs:
    """The requests of serve.py."""

    label: dict[str, Any]
    turn: dict[str, Any]
    batch: dict[str, Any]


class Ids:
    """Makes ids of texts."""

    def __init__(self, engine: Contestant) -> None:
        self.engine = engine

    def encode(self, text: str) -> list[int]:
        return self.engine.ask("encode", texts=[text])["tokens"][0]

    def label(self, text: str) -> list[int]:
        """The prompt that asks for a text's sentiment."""
        task = prompts.SENTIMENT
        return self.engine.ask("prompt", system=task.system, user=task.user(text))["tokens"]

    def reply(self, text: str, mood: str | None) -> list[int]:
        """The prompt that asks for a reply."""
        return self.engine.ask("prompt", system=prompts.REPLY_SYSTEM, user=prompts.reply_user(text, mood))["tokens"]

    def messages(self) -> list[str]:
        """Texts of the same number of tokens."""
        return [self.message(number) for number in range(BATCH)]

    def message(self, number: int) -> str:
        start = number * 7 % len(STORY)
        story = STORY[start:] + STORY
        lengths = self.engine.ask("encode", texts=[story[:length] for length in range(1, len(story))])["tokens"]
        return story[: next(length for length, ids in enumerate(lengths, 1) if len(ids) >= MESSAGE)]


def tokens(vocabulary: int, count: int) -> list[int]:
    """Ids without any meaning; none of them a control token, which are the last of a vocabulary."""
    return [number * 7919 % (vocabulary // 3) for number in range(count)]


def make(engine: Contestant, qaio: Contestant) -> Jobs:
    """The jobs: `engine` makes the ids, `qaio` says to which message its reply does not end early."""
    ids = Ids(engine)
    messages = ids.messages()
    prompts_of_labels = [ids.label(text) for text in messages]
    prefix = common(prompts_of_labels)
    for text in dict.fromkeys(messages):
        said = qaio.ask("said", text=text, steps=REPLY)
        if said["reply_tokens"] == REPLY:
            break
    else:
        raise SystemExit("qaio ends each reply early, so that no two programs would do the same; take another shape")
    label = {"text": text, "prompt": ids.label(text), "prefix": prefix, "steps": LINE}
    prompt = ids.reply(text, said["mood"])
    others = [ids.reply(other, said["mood"]) for other in messages if other[0] != text[0]]
    reply = {"text": text, "prompt": prompt, "prefix": common([prompt, *others]), "steps": REPLY}
    expected = said["label_tokens"], said["prompt_tokens"]
    if (len(label["prompt"]), len(prompt)) != expected:
        raise SystemExit(f"qaio's prompts have {expected} tokens, these have {len(label['prompt'])} and {len(prompt)}")
    batch = {
        "texts": messages,
        "prompts": prompts_of_labels,
        "prefix": prefix,
        "labels": [ids.encode(text)[0] for text in prompts.SENTIMENT.labels],
    }
    return Jobs(label, {"label": label, "reply": reply}, batch)


def common(sequences: list[list[int]]) -> int:
    """How many ids all of them begin with."""
    return len(os.path.commonprefix(sequences))
