"""Which examples an epoch is made of, in each of the three stages."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Iterator, TypeVar

import outside
from augment import sentiment_text, vary
from packing import Example, Labelled, Role, conversation, endings
from prompts import INTENT, LANGUAGE, REPLY_SYSTEM, SENTIMENT, reply_user
from rows import EXTRA_FILES, INTENTS, LANGUAGE_LABELS, NEGATIVE, NEUTRAL, POSITIVE, Row, dedupe, part, read_corpus, read_other
from teacher import Teacher, recombined
from tokenizer import Chat
from topics import Topics

#: The probability of 正面 that a row's label is taught as. Below 1, so that the model does not become surer than it is right.
SHARE = {POSITIVE: 0.93, NEUTRAL: 0.5, NEGATIVE: 0.07}
#: The probability of the right label in the other tasks.
SURE = 0.94
OPPOSITE = {POSITIVE: NEGATIVE, NEGATIVE: POSITIVE}
LANGUAGES = ("zh", "en")
T = TypeVar("T")


class Mixture:
    """All training rows, ready to be drawn epoch by epoch. Held-out and validation rows never enter."""

    def __init__(self, chat: Chat | None, data: Path, seed: int = 7) -> None:
        self.data = data
        self.topics = Topics()
        self.rng = random.Random(seed)
        self.known = dedupe(read_corpus() + read_corpus(EXTRA_FILES))
        train = part(self.known, "train")
        self.main = [r for r in train if r.source not in EXTRA_FILES]
        self.lexicon = [r for r in train if r.source == "lexicon"]
        #: Whole messages, not single phrases.
        self.messages = [r for r in train if r.source != "lexicon"]
        #: Rows with a reply of their own that is plain enough to be learned.
        self.plain = [r for r in train if r.source in ("extra", "replies_zh", "replies_en")]
        self.other = part(read_other(), "train")
        taken = {r.text for r in self.known}
        self.emotions = [r for r in dedupe(outside.goemotions(data)) if r.text not in taken]
        self.zh = outside.smilechat(data)
        self.en = outside.persona_chat(data)
        if chat:
            self.chat = chat
            self.sentiment, self.intent, self.language = (Labelled(chat, task) for task in (SENTIMENT, INTENT, LANGUAGE))

    @cached_property
    def teacher(self) -> Teacher:
        """Fitted when it is first asked, which the tokenizer's training never does."""
        return Teacher(self.messages + self.lexicon, self.emotions)

    def pretraining(self) -> list[Role]:
        """Fluency from the dialogue sets; the mood of words from the emotion set and from what the teacher says of many texts."""
        talk = [conversation(self.chat, turns, 0.5) for turns in self._some(self.zh, 6000) + self._some(self.en, 2500)]
        labels = self._labels(self._some(self.emotions, 20_000) + self.messages)
        return self._roles(
            sentiment=labels + self._taught("zh", 45_000, 0.4) + self._taught("en", 25_000, 0.4),
            intent=self._intents(4000),
            language=self._languages(1500),
            reply=talk + self._replies(self._some(self.messages, 4000), 0.5),
        )

    def finetuning(self) -> list[Role]:
        """The product: the labels of every row, some of the teacher's, and plain replies."""
        labels = self._labels(self.messages + self._some(self.lexicon, 700) + self._some(self.emotions, 5000))
        return self._roles(
            sentiment=labels + self._taught("zh", 6000, 0.3) + self._taught("en", 5000, 0.3),
            intent=self._intents(12_000),
            language=self._languages(1200),
            reply=self._replies(self.plain + self._by_topic(self._some(self.messages, 3000)), 0.0),
        )

    def replying(self) -> list[Role]:
        """Replies above all. Chinese ones by topic, also to texts put together anew, so that the keyword is learned and not the
        row; English topics are beyond this size, and a wrong one hurts, so English replies are general ones by mood."""
        chinese = [r for r in self.messages if r.lang == "zh" and self.topics.specific(r)]
        english = self._some([r for r in self.messages if r.lang == "en"], 7500)
        replies = self._by_topic(self._some(chinese, 6500) + self._composed("zh", 12_000))
        replies += [replace(r, reply=self.topics.general(r, self.rng)) for r in english]
        general = self._some([r for r in self.messages if r.lang == "zh" and not self.topics.specific(r)], 1500)
        replies += [replace(r, reply=self.topics.reply(r, self.rng)) for r in general]
        labels = self._labels(self._some(self.messages, 20_000) + self._some(self.emotions, 1500))
        return self._roles(sentiment=labels + self._taught("zh", 2000, 0.3) + self._taught("en", 2000, 0.3), intent=self._intents(3000), language=self._languages(900),
                           reply=self._replies(replies, 0.0))

    def _composed(self, lang: str, count: int) -> list[Row]:
        """Of `count` texts those that have a topic and about whose mood the teacher is clear, as rows."""
        made = []
        for text, share in self._opinions(lang, count, 0.25, 80):
            mood = POSITIVE if share > 0.65 else NEGATIVE if share < 0.35 else ""
            if mood and self.topics.specific(row := Row(lang, text, mood, "", "composed")):
                made.append(row)
        return made

    def _roles(self, sentiment: list[Example | None], intent: list[Example | None], language: list[Example | None],
               reply: list[Example]) -> list[Role]:
        tasks = [(self.sentiment, sentiment), (self.intent, intent), (self.language, language)]
        roles = [Role(maker.head, [e for e in examples if e] + self._endings(maker)) for maker, examples in tasks]
        return [*roles, Role(self.chat.system(REPLY_SYSTEM), reply)]

    def _endings(self, maker: Labelled) -> list[Example]:
        return [example for row in self._some(self.messages, 60) for example in endings(self.chat, maker, row.text)]

    def _labels(self, rows: list[Row]) -> list[Example | None]:
        """Rows with their sentiment, their texts varied."""
        alike = defaultdict(list)
        for row in rows:
            alike[row.lang, row.sentiment].append(row)
        made = []
        for row in rows:
            opposite = alike[row.lang, OPPOSITE[row.sentiment]] if row.sentiment in OPPOSITE else []
            text = sentiment_text(row, alike[row.lang, row.sentiment], opposite, self.rng)
            made.append(self._felt(text, self._share(row), 0.6 if row.sentiment == NEUTRAL else 1.0))
        return made

    def _share(self, row: Row) -> float:
        """What a row is taught as: its label, and for a third what the teacher thinks who has not seen it."""
        label = SHARE[row.sentiment]
        opinion = self.teacher.opinions.get(row.text, label) if row.sentiment != NEUTRAL else label
        return (2 * label + opinion) / 3

    def _felt(self, text: str, share: float, weight: float) -> Example | None:
        """A text that is 正面 with probability `share`."""
        negative, positive = SENTIMENT.labels
        assert (negative, positive) == (NEGATIVE, POSITIVE)
        return self.sentiment.example(text, [1 - share, share], weight, broken=self.rng.random() < 0.5)

    def _opinions(self, lang: str, count: int, from_talk: float, longest: int = 120) -> Iterator[tuple[str, float]]:
        """`count` texts without a label, said in the dialogue sets or made of training rows, each with the teacher's
        probability of 正面."""
        talk = self.zh if lang == "zh" else self.en
        said = [line for turns in talk for user, answer in turns for line in (user, answer) if len(line) <= longest]
        texts = self._some(said, round(count * from_talk))
        texts += recombined([r for r in self.messages if r.lang == lang], count - len(texts), self.rng)
        return zip(texts, self.teacher.shares(texts, lang))

    def _taught(self, lang: str, count: int, from_talk: float) -> list[Example | None]:
        """`count` texts with the teacher's opinion as their label."""
        return [self._felt(text, share, 0.5) for text, share in self._opinions(lang, count, from_talk)]

    def _intents(self, count: int) -> list[Example | None]:
        """Rows with their intent, as many of each as there are, up to a third of `count`."""
        alike = defaultdict(list)
        for row in self.messages:
            if row.intent:
                alike[row.intent].append(row)
        rest = (1 - SURE) / (len(INTENTS) - 1)
        return [self.intent.example(vary(row.text, self.rng), [SURE if label == row.intent else rest for label in INTENT.labels])
                for intent in INTENTS for row in self._some(alike[intent], count // 3)]

    def _languages(self, count: int) -> list[Example | None]:
        """Texts with their language, a third of each label."""
        rest = (1 - SURE) / 2
        rows = [r for lang in LANGUAGES for r in self._some([r for r in self.messages + self.lexicon if r.lang == lang], count // 3)]
        return [self.language.example(row.text, [SURE if label == LANGUAGE_LABELS[row.lang] else rest for label in LANGUAGE.labels])
                for row in rows + self._some(self.other, count // 3)]

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

    def _by_topic(self, rows: list[Row]) -> list[Row]:
        """Rows whose reply is the one of their topic; general replies are thinned out, so that the model learns to say
        something to the point."""
        rows = [r for r in rows if self.topics.specific(r) or self.rng.random() < 0.3]
        return [replace(row, reply=self.topics.reply(row, self.rng)) for row in rows]

    def _some(self, items: list[T], count: int) -> list[T]:
        return self.rng.sample(items, min(count, len(items)))

    def all_texts(self) -> list[str]:
        """Everything that may be read, for the first values of the embedding."""
        own = [text for r in self.messages + self.lexicon + self.other for text in (r.text, r.reply) if text]
        return own + outside.all_texts(self.data)

    def tokenizer_texts(self) -> list[str]:
        """What the tokenizer learns from: the corpus twice, the dialogue sets, the emotion set, a little of other languages."""
        own = [text for r in self.messages for text in (r.text, r.reply)]
        talk = [line for turns in self.zh + self.en for turn in turns for line in turn]
        return own * 2 + talk + [r.text for r in self.emotions + self.other]
