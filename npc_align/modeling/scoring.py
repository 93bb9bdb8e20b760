"""How likely a model holds given completions: log-probabilities of lines, given their prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from npc_align.modeling.tokens import IGNORED, PromptCodec, Tokens


@dataclass(frozen=True)
class Score:
    """Log-probability of a completion, its stop token included (natural logarithm, summed), and its number of tokens."""

    log_probability: float
    tokens: int

    @property
    def mean(self) -> float:
        """Per token, so that lines of different lengths compare."""
        return self.log_probability / self.tokens


def score_completions(
    model: Any, codec: PromptCodec, texts: Sequence[tuple[str, str]], *, names: Sequence[str] | None = None, batch_size: int = 8
) -> Iterator[dict[int, Score]]:
    """Scores of completions, batch by batch, so that a caller can keep what it has.

    Args:
        model: a causal LM.
        codec: its tokenizer and renderer.
        texts: (rendered prompt, completion) of each.
        names: what an error calls them.
        batch_size: completions to a batch.

    Yields:
        The scores of one batch, by place in `texts`.

    Raises:
        UserError: a completion that can't be tokenised as training would (see `PromptCodec.encode`).
    """
    called = names or [f"line {place + 1}" for place in range(len(texts))]
    encoded = [codec.encode(prompt, line, name) for (prompt, line), name in zip(texts, called, strict=True)]
    for sums in log_probabilities(model, encoded, codec.tokenizer.pad_token_id, batch_size=batch_size):
        yield {place: Score(total, len(encoded[place].completion_ids)) for place, total in sums.items()}


def log_probabilities(model: Any, texts: Sequence[Tokens], pad: int, *, batch_size: int = 8) -> Iterator[dict[int, float]]:
    """Log-probability of each completion after its prompt (nats, summed over its tokens), batch by batch.

    Args:
        model: a causal LM.
        texts: at least one prompt token each.
        pad: id to pad with.
        batch_size: texts to a forward pass. They are sorted by length, so that little is padded, and the longest come first, so that
            too large a batch shows at once.

    Yields:
        The sums of one batch, by place in `texts`.
    """
    order = sorted(range(len(texts)), key=lambda place: -len(texts[place].input_ids))
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        yield dict(zip(places, _batch_sums(model, [texts[place] for place in places], pad), strict=True))


@torch.inference_mode()
def _batch_sums(model: Any, batch: Sequence[Tokens], pad: int) -> list[float]:
    width, device = max(len(t.input_ids) for t in batch), next(model.parameters()).device
    ids = torch.tensor([t.input_ids + [pad] * (width - len(t.input_ids)) for t in batch], device=device)
    mask = torch.tensor([[1] * len(t.input_ids) + [0] * (width - len(t.input_ids)) for t in batch], device=device)
    labels = torch.tensor([t.labels + [IGNORED] * (width - len(t.labels)) for t in batch], device=device)
    # What stands at a position predicts the next one.
    labels = torch.cat([labels[:, 1:], labels.new_full((len(batch), 1), IGNORED)], dim=1)
    wanted = labels != IGNORED
    # The head sees the completions' positions only: the logits of all of them would be the largest tensor by far. The model's own
    # forward stays, with whatever it does to its logits.
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, states: (states[0][wanted], *states[1:]))
    try:
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float()
    finally:
        hook.remove()
    told = -torch.nn.functional.cross_entropy(logits, labels[wanted], reduction="none")
    rows = wanted.nonzero()[:, 0]
    return [float(total) for total in torch.zeros(len(batch), device=device).index_add_(0, rows, told)]
