"""Plain replies by topic and mood: what a model of this size can say without losing its thread.

`corpus/topics.jsonl` holds for each topic a pattern and a few replies per mood. The first topic whose pattern is found in
the message, and which has a reply for its mood, gives the reply; `*` matches everything. Training on these teaches the model
to recognise the topic and to say something whole about it. The product itself has no such table: the model writes freely.
"""

from __future__ import annotations

import json
import random
import re

from rows import CORPUS, NEGATIVE, NEUTRAL, POSITIVE, Row


#: Topics whose replies fit any message.
GENERAL = ("*", "问", "question")


class Topics:
    """The topics in order, patterns compiled."""

    def __init__(self) -> None:
        lines = (CORPUS / "topics.jsonl").read_text(encoding="utf-8").splitlines()
        self.items = [(item, re.compile(item["pattern"], re.I) if item["topic"] != "*" else None)
                      for item in map(json.loads, lines)]

    def _match(self, row: Row) -> dict:
        """The first topic that fits the language, the mood and the message."""
        return next(item for item, pattern in self.items
                    if item["lang"] == row.lang and item[row.sentiment] and (pattern is None or pattern.search(row.text)))

    def name(self, row: Row) -> str:
        """The topic of `row`."""
        return self._match(row)["topic"]

    def specific(self, row: Row) -> bool:
        """Whether the reply to `row` is about a topic."""
        return self.name(row) not in GENERAL

    def general(self, row: Row, rng: random.Random) -> str:
        """A reply that fits any message of the row's language and mood."""
        item = next(item for item, pattern in self.items if pattern is None and item["lang"] == row.lang)
        return rng.choice(item[row.sentiment])

    def reply(self, row: Row, rng: random.Random) -> str:
        """A reply to `row`, which must have a sentiment."""
        return rng.choice(self._match(row)[row.sentiment])
