"""The model card: fixed text around one section of figures, which always comes from `evaluate.py`'s result."""

from __future__ import annotations

import math
from pathlib import Path

BEGIN, END = "<!-- figures: begin (evaluate.py writes this part) -->", "<!-- figures: end -->"
LANGUAGES = {"zh": "Chinese", "en": "English"}

_CARD = """\
# qaio-mini

The model that is built into qaio: a Qwen2-architecture model with {parameters:,} parameters in Q8_0 ({mib:.1f} MiB), trained
from nothing for the library's own prompts, in Chinese and English.

**It is a demonstration model.** It lets `qaio_model_load(NULL, …)` and the first command of the README work at once and
offline, and it lets tests run the whole engine. It knows the three tasks that come with the library (sentiment, intent, language)
and answers in one short sentence. **Its replies are mostly sentences it has learned by heart**, which it chooses by the mood it
sees and, in Chinese, the topic; it knows no facts and follows no instructions, so a task of your own needs a real model:
`qaio chat --model PATH`, where PATH is a GGUF file or a Hugging Face folder of Qwen1.5-0.5B-Chat or newer.

## How it was made

One command, on a CPU, without any pretrained weights:

    pip install -r tools/mini/requirements.txt
    python tools/mini/make.py --data DIR

| | |
|---|---|
| shape | {layers} layers, width {hidden}, {heads} heads of {head_dim} ({kv_heads} for keys and values), feed-forward {intermediate}, tied embeddings |
| tokenizer | byte-level BPE with {vocab} tokens, Qwen2's pre-tokenizer, Qwen's control tokens; the labels of the shipped tasks are one token each |
| context | {context} tokens by its configuration; trained on texts of at most 320 tokens, so long sessions get worse |
{training}

Training used 2 cores of a server CPU, partly shared with compilers.
The embedding begins as a decomposition of what stands near what in all texts.
Three stages: *pretrain* on the dialogue and emotion sets, the corpus, and what a teacher (logistic regression on character n-grams,
fitted to the training rows) says of further texts, so that the mood of words is known before the few real labels are used up;
*finetune* on the labels of every row, and on plain replies; *replies* by topic in Chinese and by mood in English, with a part of the
labels so that they are not forgotten. Muon for the matrices, Adam for the rest.
{note}
The learned texts are exactly the product's prompts in ChatML. Neutral messages are taught as even between the two labels, so
that a score near one half means "unsure"; the product then leaves the mood out of the reply's prompt. Labels are taught with
a probability of 0.93, so that scores do not promise more than they keep.

## Data

| data | licence | used for |
|---|---|---|
| `tools/mini/corpus/zh*.jsonl`, `en*.jsonl`: 3,000 messages with mood, intent and reply, written for qaio | the project's | all |
| {extra} more messages and short phrases in `tools/mini/corpus/`, written for this model by a language model | the project's | all |
| `tools/mini/corpus/topics.jsonl`: replies by topic and mood, `replies_*.jsonl`: messages with a plain reply | the project's | replies |
| `tools/mini/corpus/other.jsonl`: short texts in other languages | the project's | the task `language` |
| SMILECHAT, first exchanges (Qiu et al., 2023) | CC0-1.0 | Chinese fluency |
| Synthetic-Persona-Chat (Google, Jandaghi et al., 2023) | CC BY 4.0 | English fluency; cut into conversations of three turns |
| GoEmotions (Google, Demszky et al., 2020) | Apache-2.0 | English moods; only comments whose emotions are all positive or all negative |

The last three are not in the repository; `make.py` uses them from `--data` where present and otherwise makes a weaker model.
One tenth of all rows, chosen by the SHA-256 of the text, is held out from every stage, the tokenizer's included. `probe.jsonl`,
from which the table by kind is made, was written apart from all other rows and trains nothing.

## Figures

{figures}

## Limits

- The mood is often read wrongly when no single word gives it away: irony, understatement, news that is good or bad only to those
  who know the world. See the table by kind. English is the weaker language.
- A topic that it does not know gets a general reply, or one about the wrong topic. No reply is advice.
- Two languages only, everyday topics only. The labels are the writers' own judgement of the mood.
- The replies' style, and its biases, are those of a handful of writers and of partly machine-written dialogue sets.
"""

#: What each table is of, for the card.
_TABLES = {
    "sentiment": "Sentiment, held-out rows of the main corpus:",
    "sentiment, other rows": "Sentiment, held-out rows of those written for this model, most of them written to be hard:",
    "sentiment, by kind": "Sentiment, `probe.jsonl` by kind:",
    "sentiment, by length": "Sentiment, all held-out rows by length in characters:",
    "intent": "Intent (咨询, 投诉, 闲聊), held-out rows of the main corpus:",
    "language": "Language (中文, English, 其他), held-out rows:",
}


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _table(rows: dict[str, dict]) -> list[str]:
    lines = ["| | n | accuracy | macro-F1 | calibration error | Brier | sure | accuracy when sure |", "|---|---|---|---|---|---|---|---|"]
    for name, f in rows.items():
        error = math.sqrt(f["accuracy"] * (1 - f["accuracy"]) / f["rows"])
        lines.append(f"| {LANGUAGES.get(name, name)} | {f['rows']} | {_percent(f['accuracy'])} ± {_percent(error)} | {f['macro_f1']:.3f} | "
                     f"{f['calibration_error']:.3f} | {f['brier']:.3f} | {_percent(f['coverage'])} | {_percent(f['sure_accuracy'])} |")
    return lines


def _replies(turns: list[dict]) -> list[str]:
    lines = ["| message | true | label, score | reply |", "|---|---|---|---|"]
    for t in turns:
        cells = [t["text"], t["true"], f"{t['label']} {t['score']:.2f}", t["reply"] + ("" if t["ended"] else " …")]
        lines.append("| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |")
    return lines


def figures(result: dict) -> str:
    """The section of figures as Markdown."""
    lines = ["Measured through the C ABI on the shipped file. Sentiment rows are those with 正面 or 负面; *sure* is a score of at "
             "least 0.6; ± is one standard error."]
    for name, title in _TABLES.items():
        lines += ["", title, "", *_table(result["tables"][name])]
    unsure = result["tables"]["neutral called unsure"]
    checks, speed = result["replies"], result["speed"]
    lines += [
        "", "Neutral messages called unsure: " + ", ".join(f"{LANGUAGES[lang]} {_percent(share)}" for lang, share in unsure.items()) + ".",
        "", f"Of {checks['n']} replies to held-out messages (greedy) {_percent(checks['ended'])} ended by themselves within 60 tokens, "
        f"{_percent(checks['language'])} are in the message's language, {_percent(checks['looped'])} loop, {_percent(checks['broken'])} have a "
        "control token or a broken character.",
        "", f"Medians with {result['info']['threads']} threads: loading {speed['load_ms']:.0f} ms, a sentiment {speed['sentiment_ms']:.1f} ms, a turn "
        f"{speed['turn_ms']:.0f} ms.",
        "", "Four messages that are not part of the training rows:", "", *_replies(result["demo"]),
        "", f"{len(result['shown'])} held-out messages, the first of each language, replies as they come:", "", *_replies(result["shown"]),
    ]
    return "\n".join(lines)


def _wrap(result: dict) -> str:
    return f"{BEGIN}\n{figures(result)}\n{END}"


def write(result: dict, training: dict, size: int, path: Path) -> None:
    """The whole card. `training`: the figures of each stage, with a `note` where a stage was not run as `make.py` says; `size`:
    bytes of the model's file."""
    from model import Config
    from rows import EXTRA_FILES, read_corpus

    c = Config()
    stages = "\n".join(f"| {name} | {f['steps']:,} steps, {f['tokens'] / 1e6:.1f} M tokens, {f['minutes']:.0f} minutes |"
                       for name, f in training.items())
    note = " ".join(f["note"] for f in training.values() if "note" in f)
    path.write_text(_CARD.format(
        note=note and note + "\n",
        parameters=result["info"]["parameters"], mib=size / 2**20, layers=c.layers, hidden=c.hidden, heads=c.heads,
        head_dim=c.head_dim, kv_heads=c.kv_heads, intermediate=c.intermediate, vocab=c.vocab, context=c.context,
        training=stages, extra=f"{len(read_corpus(EXTRA_FILES)):,}", figures=_wrap(result)), encoding="utf-8")


def renew(path: Path, result: dict) -> None:
    """Replace the section of figures in an existing card."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    path.write_text(before + _wrap(result) + rest.split(END)[1], encoding="utf-8")
