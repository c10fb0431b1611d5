"""Makes qaio-mini from nothing: tokenizer, pretraining, fine-tuning, replies, export, evaluation, model card.

    python tools/mini/make.py [--data ../shared] [--work tools/mini/work] [--out src/builtin] [--from STEP]

`--from` starts at a later step with what the work folder holds. Everything runs on the CPU. The evaluation goes through the C ABI and
needs the library: `cargo build --release` first.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import torch

import card
import embedding
import export
import tokenizer as bpe
from mixture import Mixture
from model import Config, Qwen2
from rows import part
from tokenizer import Chat
from train import Stage, run
from validate import accuracy

ROOT = Path(__file__).resolve().parents[2]
#: In order; each goes on from the checkpoint of the one before and leaves one under its own name.
STAGES = (
    (Stage("pretrain", epochs=1, rate=4e-3, dropout=0.0, decay=0.3, floor=0.3, groups=2), Mixture.pretraining),
    (Stage("finetune", epochs=3, rate=2e-3, dropout=0.15, decay=0.9, floor=0.0, groups=2), Mixture.finetuning),
    (Stage("replies", epochs=2, rate=2e-3, dropout=0.03, decay=1.0, floor=0.0, groups=2), Mixture.replying),
)
STEPS = ("tokenizer", *(stage.name for stage, _ in STAGES), "export", "evaluate")


def _save(model: Qwen2, figures: dict[str, float], path: Path) -> None:
    torch.save({"model": model.state_dict(), "figures": figures}, path)


def _load(model: Qwen2, path: Path) -> None:
    model.load_state_dict(torch.load(path)["model"])


def main() -> None:
    """Parse the command line and run the steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared", help="folder with data/dialogue and data/goemotions")
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "work", help="checkpoints")
    parser.add_argument("--out", type=Path, default=ROOT / "src" / "builtin", help="where the model and its card go")
    parser.add_argument("--from", dest="first", choices=STEPS, default=STEPS[0], help="first step to run")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    todo = STEPS[STEPS.index(options.first):]
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(7)
    random.seed(7)

    if "tokenizer" in todo:
        bpe.train(Mixture(None, options.data).tokenizer_texts()).save(str(work / "tokenizer.json"))
    chat = Chat.load(work / "tokenizer.json")
    mixture = Mixture(chat, options.data)
    model = Qwen2(Config())
    if "pretrain" in todo:
        embedding.start(chat, mixture.all_texts(), model.embed_tokens.weight, model.c)
    print(f"{model.parameter_count():,} parameters; rows: {len(mixture.main)} corpus, {len(mixture.messages) - len(mixture.main)} more, "
          f"{len(mixture.emotions)} emotions, {len(mixture.zh)} + {len(mixture.en)} conversations", flush=True)

    check = part(mixture.known, "validation")

    def report(epoch: int) -> None:
        print(f"  validation after epoch {epoch}: {accuracy(model, chat, check)}", flush=True)
        _save(model, {}, work / "epoch.pt")

    before = None
    for stage, draw in STAGES:
        checkpoint = work / f"{stage.name}.pt"
        if stage.name in todo:
            if before:
                _load(model, before)
            figures = run(model, stage, lambda: draw(mixture), chat.end, report)
            _save(model, figures, checkpoint)
        before = checkpoint
    if "export" in todo:
        _load(model, before)
        export.write(model, work / "tokenizer.json", options.out / "qaio-mini.gguf")
        print("exported; largest difference from transformers:", export.check(options.out / "qaio-mini.gguf"))
    if "evaluate" in todo:
        import evaluate  # needs the library, which the steps before it do not

        training = {stage.name: torch.load(work / f"{stage.name}.pt")["figures"] for stage, _ in STAGES}
        file = options.out / "qaio-mini.gguf"
        result = evaluate.evaluate(file)
        (work / "evaluation.json").write_text(json.dumps(result, ensure_ascii=False, indent=1))
        card.write(result, training, file.stat().st_size, options.out / "MODEL_CARD.md")


if __name__ == "__main__":
    main()
