"""The model card: fixed text around one section of figures, which always comes from `evaluate.py`'s result."""

from __future__ import annotations

from pathlib import Path

BEGIN, END = "<!-- figures: begin (evaluate.py writes this part) -->", "<!-- figures: end -->"
LANGUAGES = {"zh": "Chinese", "en": "English"}

_CARD = """\
# qaio-mini

The model that is built into qaio: a Qwen2-architecture model with {parameters:,} parameters in Q8_0 ({mib:.1f} MiB), trained
from nothing for the library's own prompts, in Chinese and English.

**It is a demonstration model.** It lets `qaio_model_load(NULL, …)` and the first command of the README work at once and
offline, and it lets tests run the whole engine. It tells pleased from displeased messages more often than not (see the figures) and answers in one or
two short sentences. **Its replies are mostly sentences it has learned by heart**, some {sentences} of them, which it chooses by the
topic and the mood it sees; it knows no facts and follows no instructions. For real use give qaio a real model:
`qaio chat --model PATH`, where PATH is a GGUF file or a Hugging Face folder of Qwen1.5-0.5B-Chat or newer.

## How it was made

One command, on a CPU, without any pretrained weights:

    pip install -r tools/mini/requirements.txt
    python tools/mini/make.py --data DIR

| | |
|---|---|
| shape | {layers} layers, width {hidden}, {heads} heads of {head_dim} ({kv_heads} for keys and values), feed-forward {intermediate}, tied embeddings |
| tokenizer | byte-level BPE with {vocab} tokens, Qwen2's pre-tokenizer, Qwen's control tokens; 正面 and 负面 are one token each |
| context | {context} tokens by its configuration; trained on texts of at most 256 tokens, so long sessions get worse |
{training}

Training used 2 cores of a server CPU, shared with compilers, which set the budget.
{note}Four stages: *pretrain* on the dialogue and emotion sets and the corpus; *finetune* on the labels of every row and on plain replies
by topic and mood (`corpus/topics.jsonl`), because at this size and budget free replies lose their thread; *topics* once more the
same, with replies to recombined clauses too, so that keywords are learned and not rows; *plain* turns
English replies into general ones, because English topics stayed unreliable and a wrong one hurts. In most of them a teacher
(logistic regression on character n-grams, fitted to the training rows) labels further texts of the dialogue sets and recombined
clauses of training rows: a small transformer overfits a few thousand labels, the teacher less so. Muon for the matrices, Adam for the rest.

The learned texts are exactly the product's prompts in ChatML. Neutral messages are taught as even between the two labels, so
that a score near one half means "unsure"; the product then leaves the mood out of the reply's prompt.

## Data

| data | licence | used for |
|---|---|---|
| `tools/mini/corpus/zh*.jsonl`, `en*.jsonl`: 3,000 messages with mood and reply, written for qaio | the project's | both roles, all stages |
| `tools/mini/corpus/extra.jsonl`, `lexicon.jsonl`, `written_*.jsonl`: {extra} more messages and short phrases, written for this model by a language model | the project's | fine-tuning |
| `tools/mini/corpus/topics.jsonl`: replies by topic and mood, written for this model | the project's | fine-tuning |
| SMILECHAT, first exchanges (Qiu et al., 2023) | CC0-1.0 | Chinese fluency |
| Synthetic-Persona-Chat (Google, Jandaghi et al., 2023) | CC BY 4.0 | English fluency; cut into conversations of three turns |
| GoEmotions (Google, Demszky et al., 2020) | Apache-2.0 | English moods; only comments whose emotions are all positive or all negative |

The last three are not in the repository; `make.py` uses them from `--data` where present and otherwise makes a weaker model.
One tenth of all rows, chosen by the SHA-256 of the text, is held out from every stage, the tokenizer's included.

## Figures

{figures}

## Limits

- The mood is often read wrongly when no single word gives it away: irony, understatement, mixed feelings, news that is good or
  bad only to those who know the world. The scores are too sure of themselves (see the calibration error); English is the weaker language.
- A topic that `topics.jsonl` does not know gets a general reply, or one about the wrong topic. No reply is advice.
- Two languages only, everyday topics only. The labels are the writers' own judgement of the mood.
- The replies' style, and its biases, are those of a handful of writers and of partly machine-written dialogue sets.
"""


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _table(part: dict) -> list[str]:
    lines = ["| held-out rows | n | accuracy | sure | accuracy when sure | calibration error | label mass | neutral called unsure |",
             "|---|---|---|---|---|---|---|---|"]
    for lang, f in part.items():
        lines.append(f"| {LANGUAGES[lang]} | {f['n']} | {_percent(f['accuracy'])} ± {_percent(f['standard_error'])} | {_percent(f['sure'])} | "
                     f"{_percent(f['accuracy_when_sure'])} | {f['calibration_error']:.3f} | {f['mean_label_mass']:.3f} | "
                     f"{_percent(f['neutral_unsure'])} of {f['neutral_n']} |")
    return lines


def _replies(turns: list[dict]) -> list[str]:
    lines = ["| message | true | label, score | reply |", "|---|---|---|---|"]
    for t in turns:
        cells = [t["text"], t["true"], f"{t['label']} {t['score']:.2f}", t["reply"] + ("" if t["ended"] else " …")]
        lines.append("| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |")
    return lines


def figures(result: dict) -> str:
    """The section of figures as Markdown."""
    lines = ["Measured on the shipped file, its Q8_0 weights dequantised. n counts 正面 and 负面 rows; *sure* is a score of at "
             "least 0.6.", "", *_table(result["sentiment"]), "",
             "| confusion (true > said) | 正面 > 正面 | 正面 > 负面 | 负面 > 正面 | 负面 > 负面 |", "|---|---|---|---|---|"]
    for lang, f in result["sentiment"].items():
        counts = [str(f["confusion"].get(k, 0)) for k in ("正面>正面", "正面>负面", "负面>正面", "负面>负面")]
        lines.append(f"| {LANGUAGES[lang]} | " + " | ".join(counts) + " |")
    if result["extra"]:
        lines += ["", "The same on the held-out tenth of the rows written for this model, most of which were written to be hard (good and bad news in like words):", "", *_table(result["extra"])]
    lines += ["", f"Of {result['replies_n']} replies to held-out messages {_percent(result['replies_ended'])} ended by themselves within 80 tokens "
              f"(greedy, repetition penalty {result['penalty']}).", "", "Four messages that are not part of the training rows:", "", *_replies(result["demo"])]
    for lang, turns in result["replies"].items():
        lines += ["", f"The first {len(turns)} held-out {LANGUAGES[lang]} messages, replies as they come:", "", *_replies(turns)]
    return "\n".join(lines)


def _wrap(result: dict) -> str:
    return f"{BEGIN}\n{figures(result)}\n{END}"


def write(result: dict, training: dict, path: Path) -> None:
    """The whole card. `training`: the figures of each stage, with a `note` where a stage was not run as `make.py` says."""
    from model import Config
    from rows import EXTRA_FILES, read_corpus
    from topics import Topics

    c = Config()
    stages = "\n".join(f"| {name} | {f['steps']:,} steps, {f['tokens'] / 1e6:.1f} M tokens, {f['minutes']:.0f} minutes |"
                       for name, f in training.items())
    note = " ".join(f["note"] for f in training.values() if "note" in f)
    path.write_text(_CARD.format(
        note=note and note + "\n",
        parameters=result["parameters"], mib=result["bytes"] / 2**20, layers=c.layers, hidden=c.hidden, heads=c.heads,
        head_dim=c.head_dim, kv_heads=c.kv_heads, intermediate=c.intermediate, vocab=c.vocab, context=c.context,
        sentences=Topics().sentences(), training=stages, extra=f"{len(read_corpus(EXTRA_FILES)):,}", figures=_wrap(result)), encoding="utf-8")


def renew(path: Path, result: dict) -> None:
    """Replace the section of figures in an existing card."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    path.write_text(before + _wrap(result) + rest.split(END)[1], encoding="utf-8")
