"""Drawing a token by inverting the cumulative distribution, as a logits processor.

`torch.multinomial` draws one exponential number per word of the vocabulary: on a CPU 1.5 s a step at 128 rows of 262,144
words, four times the model's own part. One uniform number per row, looked up in two levels of cumulative sums, draws from
the same distribution in 0.08 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from npc_align.modeling.penalty import WindowedRepetitionPenalty

_BLOCK = 512  # words per block: about the root of the vocabulary, so both levels are short
_TRANSFORMERS_TOP_K = 50  # what `generate` keeps when it samples and nobody named top_k


def draw_tokens(scores: torch.Tensor) -> torch.Tensor:
    """One token per row with probability softmax(scores).

    Args:
        scores: [rows, vocabulary] logits; -inf is never drawn.

    Returns:
        [rows] token ids, drawn with torch's global generator.
    """
    rows, words = scores.shape
    weights = torch.exp(scores.float() - scores.float().amax(-1, keepdim=True))
    blocks = torch.nn.functional.pad(weights, (0, -words % _BLOCK)).view(rows, -1, _BLOCK)
    upto = blocks.sum(-1, dtype=torch.float64).cumsum(-1)
    # 1 - rand is in (0, 1]: a mark of 0 would fall on a leading word even where its weight is 0.
    mark = (1 - torch.rand(rows, 1, dtype=torch.float64, device=scores.device)) * upto[:, -1:]
    block = torch.searchsorted(upto, mark)
    before = torch.where(block > 0, upto.gather(1, (block - 1).clamp(min=0)), 0)
    inside = blocks.gather(1, block.unsqueeze(-1).expand(-1, 1, _BLOCK)).squeeze(1).cumsum(-1, dtype=torch.float64)
    # The block's own sum can round to less than the mark asks of it; then its last word with any weight is meant.
    word = torch.searchsorted(inside, torch.minimum(mark - before, inside[:, -1:]))
    return (block * _BLOCK + word).squeeze(1)


class DrawnToken(LogitsProcessor):
    """Leaves every row the one token that was drawn from it, so that greedy decoding picks it."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        drawn = draw_tokens(scores).unsqueeze(1)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)


def logits_processors(knobs: Mapping[str, Any]) -> LogitsProcessorList:
    """What `generate(**knobs)` does to the logits before it picks a token, in transformers' order, ending with the draw.

    Args:
        knobs: `repetition_penalty`, and with `do_sample` the sampling knobs; none of them is greedy decoding. Two knobs are
            llama.cpp's, not `generate`'s: `repetition_window` and `temperature_last`.
    """
    processors = LogitsProcessorList()
    penalty, window = knobs.get("repetition_penalty", 1.0), knobs.get("repetition_window")
    if penalty != 1.0:
        processors.append(WindowedRepetitionPenalty(penalty, window) if window else RepetitionPenaltyLogitsProcessor(penalty))
    if not knobs.get("do_sample"):
        return processors
    temperature = [TemperatureLogitsWarper(knobs["temperature"])] if knobs.get("temperature", 1.0) != 1.0 else []
    last = knobs.get("temperature_last", False)
    processors.extend([] if last else temperature)
    if top_k := knobs.get("top_k", _TRANSFORMERS_TOP_K):
        processors.append(TopKLogitsWarper(top_k))
    if knobs.get("top_p", 1.0) < 1.0:
        processors.append(TopPLogitsWarper(knobs["top_p"]))
    if knobs.get("min_p") is not None:
        processors.append(MinPLogitsWarper(knobs["min_p"]))
    processors.extend(temperature if last else [])
    processors.append(DrawnToken())
    return processors
