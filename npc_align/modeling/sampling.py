"""From a step's logits to its tokens: the knobs of `generate`, without the passes over the vocabulary that it can do without.

`torch.multinomial` draws one exponential number per word of the vocabulary: on a CPU 1.5 s a step at 128 rows of 262,144
words, four times the model's own part. One uniform number per row, looked up in two levels of cumulative sums, draws from
the same distribution in 0.08 s. And top_p, which sorts, comes after top_k: only what top_k leaves is sorted.
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


def likeliest_tokens(scores: torch.Tensor) -> torch.Tensor:
    """The first largest of each row, like `scores.argmax(-1)`, in two levels: maxima vectorise where argmax doesn't.

    Args:
        scores: [rows, vocabulary] logits.
    """
    blocks = _in_blocks(scores, -torch.inf)
    block = blocks.amax(-1).argmax(-1, keepdim=True)
    return block.squeeze(1) * _BLOCK + _pick_block(blocks, block).argmax(-1)


def draw_tokens(scores: torch.Tensor) -> torch.Tensor:
    """One token per row with probability softmax(scores).

    Args:
        scores: [rows, vocabulary] logits; -inf is never drawn.

    Returns:
        [rows] token ids, drawn with torch's global generator.
    """
    scores = scores.float()
    blocks = _in_blocks((scores - scores.amax(-1, keepdim=True)).exp_(), 0.0)
    # A block's sum is exact enough in float32; what adds up over the vocabulary is float64.
    upto = blocks.sum(-1).double().cumsum(-1)
    # 1 - rand is in (0, 1]: a mark of 0 would fall on a leading word even where its weight is 0.
    mark = (1 - torch.rand(len(scores), 1, dtype=torch.float64, device=scores.device)) * upto[:, -1:]
    block = torch.searchsorted(upto, mark)
    before = torch.where(block > 0, upto.gather(1, (block - 1).clamp(min=0)), 0)
    inside = _pick_block(blocks, block).cumsum(-1, dtype=torch.float64)
    # The block's own sum can round to less than the mark asks of it; then its last word with any weight is meant.
    word = torch.searchsorted(inside, torch.minimum(mark - before, inside[:, -1:]))
    return (block * _BLOCK + word).squeeze(1)


def _in_blocks(scores: torch.Tensor, filler: float) -> torch.Tensor:
    rows, words = scores.shape
    if words % _BLOCK:
        scores = torch.nn.functional.pad(scores, (0, -words % _BLOCK), value=filler)
    return scores.reshape(rows, -1, _BLOCK)


def _pick_block(blocks: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
    return blocks.gather(1, block.unsqueeze(-1).expand(-1, 1, _BLOCK)).squeeze(1)


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


class TokenPicker:
    """The tokens that `logits_processors(knobs)` and an argmax would pick, with fewer passes over the vocabulary."""

    def __init__(self, knobs: Mapping[str, Any]) -> None:
        self._samples = bool(knobs.get("do_sample"))
        self._before, self._after = LogitsProcessorList(), LogitsProcessorList()
        self._top_k: int | None = None
        stage = self._before
        for processor in logits_processors(knobs):
            if isinstance(processor, TopKLogitsWarper):
                self._top_k, stage = processor.top_k, self._after
            elif not isinstance(processor, DrawnToken):
                stage.append(processor)

    def __call__(self, history: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """[rows] tokens from [rows, tokens so far] ids and [rows, vocabulary] logits."""
        if not self._samples:
            return likeliest_tokens(self._before(history, logits.float()) if self._before else logits)
        scores, words = self.candidates(history, logits)
        drawn = draw_tokens(scores)
        return drawn if words is None else words.gather(1, drawn.unsqueeze(1)).squeeze(1)

    def candidates(self, history: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Scores of the words that may be drawn, -inf on the others, and their ids; None where every word has its own column.

        Where words tie at the border of top_p, another one of them may stay than in transformers; the number is the same.
        """
        scores, words = self._before(history, logits.float()), None
        if self._top_k and self._top_k < scores.shape[-1]:
            scores, words = _largest(scores, self._top_k)
        return self._after(history, scores), words


def _largest(scores: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` largest of each row and those that tie with the last of them, which transformers keeps too."""
    width = 2 * count  # room for ties, which are many in bfloat16
    while True:
        values, words = scores.topk(min(width, scores.shape[-1]))
        least = values[:, count - 1 : count]
        if width >= scores.shape[-1] or bool((values[:, -1:] < least).all()):
            return values.masked_fill(values < least, -torch.inf), words
        width *= 4
