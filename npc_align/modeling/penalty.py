"""A repetition penalty over the last tokens only, as llama.cpp and Ollama have it; transformers' own looks at the whole text."""

from __future__ import annotations

import torch
from transformers import RepetitionPenaltyLogitsProcessor


class WindowedRepetitionPenalty(RepetitionPenaltyLogitsProcessor):
    """Divides positive logits of recent tokens by `penalty` and multiplies negative ones by it (Keskar et al. 2019).

    Args:
        penalty: above 1 discourages repetition.
        window: so many last tokens count, the prompt's included (llama.cpp's `repeat_last_n`).
    """

    def __init__(self, penalty: float, window: int) -> None:
        super().__init__(penalty)
        self.window = window

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """input_ids [rows, length], scores [rows, vocabulary] -> scores."""
        return super().__call__(input_ids[:, -self.window :], scores)
