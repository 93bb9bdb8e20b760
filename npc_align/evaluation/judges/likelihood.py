"""How likely a model finds given text: log-likelihoods of completions, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from npc_align.modeling.tokens import IGNORED, Tokens


@torch.inference_mode()
def log_likelihoods(
    model: Any, texts: Sequence[Tokens], pad: int, progress: Callable[[int], None], batch_size: int = 8
) -> list[float]:
    """Log-likelihood (nats, summed over the completion's tokens) of each completion after its prompt, in the order given.

    Args:
        model: a causal LM.
        texts: at least one prompt token each; they are sorted by length, so that little is padded.
        pad: id to pad with.
        progress: told how many more texts are done.
        batch_size: texts to a forward pass.
    """
    found = [0.0] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i].input_ids))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        for index, value in zip(batch, _batch(model, [texts[i] for i in batch], pad), strict=True):
            found[index] = value
        progress(len(batch))
    return found


def _batch(model: Any, texts: Sequence[Tokens], pad: int) -> list[float]:
    device = next(model.parameters()).device
    width = max(len(t.input_ids) for t in texts)
    ids = torch.tensor([t.input_ids + [pad] * (width - len(t.input_ids)) for t in texts], device=device)
    mask = torch.tensor([[1] * len(t.input_ids) + [0] * (width - len(t.input_ids)) for t in texts], device=device)
    labels = torch.tensor([t.labels + [IGNORED] * (width - len(t.labels)) for t in texts], device=device)[:, 1:]
    states = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
    wanted = labels != IGNORED  # the head, the larger part of a small model, runs on completion tokens only
    logits = model.get_output_embeddings()(states[wanted]).float()
    each = -torch.nn.functional.cross_entropy(logits, labels[wanted], reduction="none")
    rows = wanted.nonzero()[:, 0]
    return torch.zeros(len(texts), device=device).index_add_(0, rows, each).tolist()
