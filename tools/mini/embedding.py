"""First values for the embedding: what stands near what in all texts, so that rare words begin beside their like.

Positive pointwise mutual information of token pairs within a window, reduced by a singular value decomposition (Levy and Goldberg
2014). Seconds of work that the transformer would need many epochs for.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from model import Config
from tokenizer import Chat

WINDOW = 5
#: Frequencies of neighbours are flattened by this power, else rare ones count too much.
FLATTEN = 0.75


def nearness(chat: Chat, texts: list[str], vocab: int) -> csr_matrix:
    """[vocab, vocab]: positive pointwise mutual information; nearer pairs count more."""
    stream = []
    for encoding in chat.tokenizer.encode_batch(texts, add_special_tokens=False):
        stream += [*encoding.ids, *[-1] * WINDOW]
    tokens = np.array(stream)
    counts = csr_matrix((vocab, vocab))
    for distance in range(1, WINDOW + 1):
        first, second = tokens[:-distance], tokens[distance:]
        kept = (first >= 0) & (second >= 0)
        share = np.full(kept.sum(), distance ** -0.5)
        counts = counts + coo_matrix((share, (first[kept], second[kept])), shape=(vocab, vocab)).tocsr()
    counts = (counts + counts.T).tocoo()
    total = np.asarray(counts.sum(1)).ravel()
    expected = total ** FLATTEN / (total ** FLATTEN).sum()
    value = np.log(counts.data / (total[counts.row] * expected[counts.col]))
    kept = value > 0
    return coo_matrix((value[kept], (counts.row[kept], counts.col[kept])), shape=(vocab, vocab)).tocsr()


def start(chat: Chat, texts: list[str], embedding: Tensor, c: Config) -> None:
    """Overwrite the rows of `embedding` [vocab, hidden] whose tokens occur; their scale stays what it was."""
    left, values, _ = randomized_svd(nearness(chat, texts, c.vocab), c.hidden, random_state=7)
    found = torch.from_numpy((left * np.sqrt(values)).astype(np.float32))
    occurs = found.norm(dim=1) > 1e-6
    scale = embedding.detach()[occurs].norm(dim=1).mean() / found[occurs].norm(dim=1).mean()
    with torch.no_grad():
        embedding[occurs] = found[occurs] * scale
