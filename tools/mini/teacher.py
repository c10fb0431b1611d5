"""A teacher for the labels: logistic regression on character n-grams, fitted to the training rows alone.

It knows little, but overfits less than a small transformer does. Its probabilities on texts without a label (the dialogue
sets, and clauses of training rows put together anew) teach the model what words mean before the few real labels are used up.
Its opinion of a training row, from a fit without that row, says how plain the row's mood is: a third of what the row is taught as.
"""

from __future__ import annotations

import random
import re

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from rows import NEUTRAL, POSITIVE, Row

_CLAUSE = re.compile(r"[^，。！？；,.!?;…\n]+[，。！？；,.!?;…\n]*")


class Teacher:
    """One classifier per language."""

    def __init__(self, rows: list[Row], light: list[Row]) -> None:
        """`rows` count fully, `light` (the emotion set) a sixth."""
        self.parts = {}
        #: What a fit without the row says of its text: the probability of 正面.
        self.opinions: dict[str, float] = {}
        for lang in ("zh", "en"):
            own = [r for r in rows if r.lang == lang and r.sentiment != NEUTRAL]
            more = [r for r in light if r.lang == lang]
            texts = [r.text.lower() for r in own + more]
            features = [TfidfVectorizer(analyzer="char" if lang == "zh" else "char_wb", ngram_range=(1, 4), sublinear_tf=True)]
            if lang == "en":
                features.append(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\b\w[\w']*\b|[!?.]"))
            table = hstack([f.fit_transform(texts) for f in features]).tocsr()
            happy = np.array([r.sentiment == POSITIVE for r in own + more])
            weights = np.array([3.0] * len(own) + [0.5] * len(more))
            self.parts[lang] = (features, _fit(table, happy, weights))
            for known, asked in KFold(5, shuffle=True, random_state=7).split(texts):
                part = _fit(table[known], happy[known], weights[known])
                for index, share in zip(asked, part.predict_proba(table[asked])[:, 1]):
                    self.opinions[(own + more)[index].text] = float(share)

    def shares(self, texts: list[str], lang: str) -> list[float]:
        """The probability of 正面 for each text."""
        features, model = self.parts[lang]
        table = hstack([f.transform([t.lower() for t in texts]) for f in features]).tocsr()
        return [float(p) for p in model.predict_proba(table)[:, 1]]


def _fit(table: csr_matrix, happy: np.ndarray, weights: np.ndarray) -> LogisticRegression:
    return LogisticRegression(C=4.0, max_iter=300).fit(table, happy, sample_weight=weights)


def recombined(rows: list[Row], count: int, rng: random.Random) -> list[str]:
    """New texts of one to three clauses of the rows."""
    clauses = [c.strip() for r in rows for c in _CLAUSE.findall(r.text) if len(c.strip()) >= 4]
    joiner = "" if rows and rows[0].lang == "zh" else " "
    return [joiner.join(rng.sample(clauses, rng.choice((1, 2, 2, 3)))) for _ in range(count)]
