"""Which examples an epoch is made of, in each of the four stages."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Iterator, TypeVar

import outside
from augment import sentiment_text
from packing import Example, conversation, labelled
from prompts import REPLY_SYSTEM, SENTIMENT_SYSTEM, reply_user, sentiment_user
from rows import EXTRA_FILES, NEGATIVE, NEUTRAL, POSITIVE, Row, dedupe, part, read_corpus
from teacher import Teacher, recombined
from tokenizer import Chat
from topics import Topics

SHARE = {POSITIVE: 0.96, NEUTRAL: 0.5, NEGATIVE: 0.04}
LABEL_WEIGHT = 6.0
LANGUAGES = ("zh", "en")
#: Examples by role; a role's examples share its system prompt.
Epoch = dict[str, list[Example]]
T = TypeVar("T")


def prefixes(chat: Chat) -> dict[str, list[int]]:
    """Each role's constant head."""
    return {"sentiment": chat.system(SENTIMENT_SYSTEM), "reply": chat.system(REPLY_SYSTEM)}


class Mixture:
    """All training rows, ready to be drawn epoch by epoch. Held-out and validation rows never enter."""

    def __init__(self, chat: Chat, data: Path, seed: int = 7) -> None:
        self.chat = chat
        self.topics = Topics()
        self.rng = random.Random(seed)
        everything = dedupe(read_corpus() + read_corpus(EXTRA_FILES))
        self.known = everything
        train = part(everything, "train")
        self.main = [r for r in train if r.source not in EXTRA_FILES]
        self.extra = [r for r in train if r.source in EXTRA_FILES]
        self.lexicon = [r for r in self.extra if r.source == "lexicon"]
        #: Whole messages, not single phrases.
        self.messages = self.main + [r for r in self.extra if r.source != "lexicon"]
        taken = {r.text for r in everything}
        self.emotions = [r for r in dedupe(outside.goemotions(data)) if r.text not in taken]
        self.zh = outside.smilechat(data)
        self.en = outside.persona_chat(data)

    @cached_property
    def teacher(self) -> Teacher:
        """Fitted when it is first asked, which the tokenizer's training never does."""
        return Teacher(self.main + self.extra, self.emotions)

    def _opinions(self, lang: str, count: int, from_talk: float, longest: int) -> Iterator[tuple[str, float]]:
        """`count` texts without a label, said in the dialogue sets or made of training rows, each with the teacher's
        probability of 正面."""
        talk = self.zh if lang == "zh" else self.en
        said = [user for turns in talk for user, _ in turns if len(user) <= longest]
        texts = self._some(said, round(count * from_talk))
        texts += recombined([r for r in self.messages if r.lang == lang], count - len(texts), self.rng)
        return zip(texts, self.teacher.shares(texts, lang))

    def _taught(self, count: int, from_talk: float) -> list[Example]:
        """`count` texts per language with the teacher's opinion as their label."""
        yes, no = self.chat.label(POSITIVE), self.chat.label(NEGATIVE)
        return [labelled(self.chat, sentiment_user(text), yes, no, share, LABEL_WEIGHT / 2)
                for lang in LANGUAGES for text, share in self._opinions(lang, count, from_talk, 120)]

    def _labels(self, rows: list[Row], weight: float = LABEL_WEIGHT) -> list[Example]:
        alike = defaultdict(list)
        for row in rows:
            alike[row.lang, row.sentiment].append(row)
        yes, no = self.chat.label(POSITIVE), self.chat.label(NEGATIVE)
        made = []
        for row in rows:
            text = sentiment_text(row, alike[row.lang, row.sentiment], self.rng)
            lighter = 0.6 if row.sentiment == NEUTRAL else 1.0
            made.append(labelled(self.chat, sentiment_user(text), yes, no, SHARE[row.sentiment], weight * lighter))
        return made

    def _mood(self, row: Row) -> str | None:
        """The marker a reply is trained with: the row's own mood, or for neutral rows mostly none."""
        if row.sentiment == NEUTRAL:
            return self.rng.choice((POSITIVE, NEGATIVE)) if self.rng.random() < 0.3 else None
        return row.sentiment if self.rng.random() < 0.9 else None

    def _replies(self, rows: list[Row], user_weight: float) -> list[Example]:
        """Single turns, and for a part of the rows conversations of two to four turns in one language."""
        rows = [r for r in rows if r.reply]
        self.rng.shuffle(rows)
        made, waiting = [], defaultdict(list)
        for row in rows:
            turn = (reply_user(row.text, self._mood(row)), row.reply)
            if self.rng.random() < 0.7:
                made.append(conversation(self.chat, [turn], user_weight))
                continue
            waiting[row.lang].append(turn)
            if len(waiting[row.lang]) >= self.rng.choice((2, 2, 3, 4)):
                made.append(conversation(self.chat, waiting.pop(row.lang), user_weight))
        return made

    def pretraining(self) -> Epoch:
        """Fluency: a part of the dialogue and emotion sets, and the main corpus in both roles."""
        talk = [conversation(self.chat, turns, 0.5) for turns in self._some(self.zh, 7000) + self._some(self.en, 3000)]
        return {
            "reply": self._shuffled(talk + self._replies(self.main, 0.5)),
            "sentiment": self._shuffled(self._labels(self._some(self.emotions, 4500) + self.main) + self._taught(5000, 0.7)),
        }

    def finetuning(self) -> Epoch:
        """The product: labels of every row, what the teacher says of other texts, and replies by topic; general replies
        are thinned out, so that the model learns to say something to the point."""
        labels = self._labels(self.messages + self._some(self.lexicon, 500))
        rows = self.messages + self._some(self.lexicon, 150) + self._some(self.emotions, 200)
        replies = self._by_topic([r for r in rows if self.topics.specific(r) or self.rng.random() < 0.3])
        return {
            "reply": self._shuffled(self._replies(self._some(replies, 3200), 0.0)),
            "sentiment": self._shuffled(labels + self._labels(self._some(self.emotions, 2400)) + self._taught(1500, 0.3)),
        }

    def topical(self) -> Epoch:
        """Replies above all: by topic, also to texts put together anew, so that the keyword is learned and not the row."""
        alike = defaultdict(list)
        specific = [r for r in self.messages if self.topics.specific(r)]
        for row in self._shuffled(specific + self._composed("zh", 16_000) + self._composed("en", 16_000)):
            alike[row.lang, self.topics.name(row), row.sentiment].append(row)
        general = self._some([r for r in self.messages if not self.topics.specific(r)], 400)
        replies = self._by_topic([row for rows in alike.values() for row in rows[:45]] + general)
        labels = self._labels(self.messages) + self._labels(self._some(self.emotions, 1200)) + self._taught(900, 0.3)
        return {"reply": self._shuffled(self._replies(replies, 0.0)), "sentiment": self._shuffled(labels)}

    def plain(self) -> Epoch:
        """English topics are beyond this budget and a wrong one hurts, so English replies become general ones that fit any
        message; Chinese ones stay by topic."""
        english = self._some([r for r in self.messages if r.lang == "en"], 2600)
        chinese = [r for r in self.messages if r.lang == "zh" and self.topics.specific(r)] + self._composed("zh", 2000)
        replies = [replace(r, reply=self.topics.general(r, self.rng)) for r in english]
        replies += self._by_topic(self._some(chinese, 2600))
        labels = self._labels(self.main + self._some(self.extra, 1500)) + self._labels(self._some(self.emotions, 600))
        return {"reply": self._shuffled(self._replies(replies, 0.0)), "sentiment": self._shuffled(labels)}

    def _composed(self, lang: str, count: int) -> list[Row]:
        """Of `count` texts those that have a topic and about whose mood the teacher is clear, as rows."""
        made = []
        for text, share in self._opinions(lang, count, 0.25, 80):
            mood = POSITIVE if share > 0.65 else NEGATIVE if share < 0.35 else ""
            if mood and self.topics.specific(row := Row(lang, text, mood, "", "composed")):
                made.append(row)
        return made

    def _by_topic(self, rows: list[Row]) -> list[Row]:
        return [replace(row, reply=self.topics.reply(row, self.rng)) for row in rows]

    def _some(self, items: list[T], count: int) -> list[T]:
        return self.rng.sample(items, min(count, len(items)))

    def _shuffled(self, examples: list[T]) -> list[T]:
        self.rng.shuffle(examples)
        return examples

    def tokenizer_texts(self) -> list[str]:
        """What the tokenizer learns from: the main corpus three times, the dialogue sets, the emotion set."""
        own = [text for r in self.main for text in (r.text, r.reply)]
        talk = [line for turns in self.zh + self.en for turn in turns for line in turn]
        return own * 3 + talk + [r.text for r in self.emotions]
