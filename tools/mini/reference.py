"""What PyTorch makes of the built-in model: tests/fixtures/mini.json, against which CI holds the engine.

    python tools/mini/reference.py

Weights are read back from the GGUF file (Q8_0, dequantised); the arithmetic is that of `model.py` in f32.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

import export
from prompts import INTENT, LANGUAGE, REPLY_SYSTEM, SENTIMENT, reply_user
from rows import read_probe
from validate import answers

ROOT = Path(__file__).resolve().parents[2]
TEXTS, REPLIES, LONGEST = 120, 12, 60


@torch.no_grad()
def main() -> None:
    """Write the fixture."""
    path = ROOT / "src" / "builtin" / "qaio-mini.gguf"
    model, chat = export.read(path), export.read_tokenizer(path)
    rows = read_probe()
    rows = rows[::max(1, len(rows) // TEXTS)][:TEXTS]
    texts = [row.text for row in rows]
    found = {"sentiment": answers(model, chat, SENTIMENT, texts), "intent": answers(model, chat, INTENT, texts),
             "language": answers(model, chat, LANGUAGE, texts)}
    cases = [{"text": row.text, "true": row.sentiment, **{name: [round(p, 5) for p in table[i].tolist()] for name, table in found.items()}}
             for i, row in enumerate(rows)]
    replies = []
    for text in texts[::len(texts) // REPLIES]:
        ids = chat.system(REPLY_SYSTEM) + chat.user(reply_user(text, None))
        begun, sure = len(ids), True
        while len(ids) - begun < LONGEST:
            best = model(torch.tensor([ids]))[0, -1].softmax(-1).topk(2)
            # Beyond a near tie, rounding decides, and the two may part.
            sure = sure and (best.values[0] - best.values[1]).item() > 0.1
            token = int(best.indices[0])
            if token == chat.end or not sure:
                break
            ids.append(token)
        replies.append({"text": text, "beginning": chat.decode(ids[begun:]), "whole": sure})
    fixture = ROOT / "tests" / "fixtures" / "mini.json"
    fixture.write_text(json.dumps({"cases": cases, "replies": replies}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
