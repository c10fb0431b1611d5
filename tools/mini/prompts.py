"""The prompts of the product, word for word. Training on anything else would teach the model another product."""

from __future__ import annotations

import re

from rows import NEGATIVE, POSITIVE

SENTIMENT_SYSTEM = "你是一个冷酷的情感分析师，只关注情绪极性。请判断下面这句话的情绪，只回答一个词：正面或负面。"
REPLY_SYSTEM = "你是一个友善、有同理心的AI助手，请根据用户的情绪状态给予适当的回应。"

_HAN = re.compile("[\u4e00-\u9fff\u3400-\u4dbf]")
_MOODS = {
    True: {POSITIVE: "\n（用户的情绪：正面）", NEGATIVE: "\n（用户的情绪：负面）"},
    False: {POSITIVE: "\n(The user's mood: positive)", NEGATIVE: "\n(The user's mood: negative)"},
}


def sentiment_user(text: str) -> str:
    """The analyst's user message."""
    return f"文本：{text}\n情绪："


def reply_user(text: str, mood: str | None) -> str:
    """The assistant's user message; `mood` is a label, or None when the classification was unsure."""
    return text + _MOODS[bool(_HAN.search(text))].get(mood or "", "")
