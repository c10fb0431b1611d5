"""The tokenizer: a small byte-level BPE with Qwen2's normaliser and pre-tokenizer, and Qwen's control tokens at the end."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from rows import NEGATIVE, NEUTRAL, POSITIVE

VOCABULARY = 8192
END_OF_TEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL = (END_OF_TEXT, IM_START, IM_END)
#: Labels that must be one token each: those of the shipped tasks.
WHOLE = (POSITIVE, NEGATIVE, NEUTRAL, "咨询", "投诉", "闲聊", "中文", "English", "其他")
_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def _shell(model: models.BPE) -> Tokenizer:
    """A BPE model inside Qwen2's normaliser, pre-tokenizer and decoder."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(_SPLIT), "isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _finish(tokenizer: Tokenizer) -> Tokenizer:
    """Add the control tokens and check the labels."""
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL])
    for word in WHOLE:
        assert len(tokenizer.encode(word).ids) == 1, f"{word} is not one token"
    return tokenizer


def build(vocab: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """The tokenizer of a known vocabulary (without control tokens) and merges."""
    return _finish(_shell(models.BPE(vocab, merges)))


def train(texts: list[str]) -> Tokenizer:
    """Learn the merges from `texts`; the same texts give the same tokenizer."""
    tokenizer = _shell(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - len(CONTROL), show_progress=False, min_frequency=2,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(texts + list(WHOLE) * 3000, trainer)
    return _finish(tokenizer)


class Chat:
    """Encodes chat markup by ids: control tokens by number, the text between them with no special token ever parsed."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.tokenizer.encode_special_tokens = True
        self.start = tokenizer.token_to_id(IM_START)
        self.end = tokenizer.token_to_id(IM_END)
        self.end_of_text = tokenizer.token_to_id(END_OF_TEXT)
        self.newline = self.text("\n")
        self.assistant = self.text("assistant\n")

    @classmethod
    def load(cls, path: Path) -> Chat:
        """Read a tokenizer.json."""
        return cls(Tokenizer.from_file(str(path)))

    def text(self, text: str) -> list[int]:
        """Plain text to ids."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def broken(self, text: str) -> list[int]:
        """Plain text to ids with one merge in ten left out at random (BPE-dropout, Provilkov et al. 2020)."""
        self.tokenizer.model.dropout = 0.1
        try:
            return self.text(text)
        finally:
            self.tokenizer.model.dropout = None

    def label(self, word: str) -> int:
        """The id of a word that is one token."""
        (token,) = self.text(word)
        return token

    def system(self, system: str) -> list[int]:
        """The constant head of a prompt."""
        return [self.start, *self.text(f"system\n{system}"), self.end, *self.newline]

    def user(self, user: str) -> list[int]:
        """A user message and the opening of the answer."""
        return [self.start, *self.text(f"user\n{user}"), self.end, *self.newline, self.start, *self.assistant]

    def answer(self, answer: str) -> list[int]:
        """An answer with its end."""
        return [*self.text(answer), self.end]

    def decode(self, ids: list[int]) -> str:
        """Ids to text, control tokens left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)
