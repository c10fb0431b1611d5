"""The prompts of the product, word for word. Training on anything else would teach the model another product."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from rows import NEGATIVE, POSITIVE

_TASKS = Path(__file__).resolve().parents[2] / "tasks"
REPLY_SYSTEM = "你是一个友善、有同理心的AI助手，请根据用户的情绪状态给予适当的回应。"

_HAN = re.compile("[\u4e00-\u9fff\u3400-\u4dbf]")
_MOODS = {
    True: {POSITIVE: "\n（用户的情绪：正面）", NEGATIVE: "\n（用户的情绪：负面）"},
    False: {POSITIVE: "\n(The user's mood: positive)", NEGATIVE: "\n(The user's mood: negative)"},
}


@dataclass(frozen=True)
class Task:
    """What a task file says that the model sees."""

    system: str
    template: str
    labels: tuple[str, ...]

    def user(self, text: str) -> str:
        """The user's message about `text`."""
        return self.template.replace("{text}", text)


def task(name: str) -> Task:
    """A shipped task."""
    item = json.loads((_TASKS / f"{name}.json").read_text(encoding="utf-8"))
    return Task(item["system"], item["template"], tuple(label["text"] for label in item["labels"]))


SENTIMENT, INTENT, LANGUAGE = task("sentiment"), task("intent"), task("language")


def reply_user(text: str, mood: str | None) -> str:
    """The assistant's user message; `mood` is a label, or None when the classification was unsure."""
    return text + _MOODS[bool(_HAN.search(text))].get(mood or "", "")
