"""The two knobs that are llama.cpp's: a penalty over the last tokens only, and the temperature after the filters."""

from __future__ import annotations

import torch
from transformers import RepetitionPenaltyLogitsProcessor

from npc_align.modeling.penalty import WindowedRepetitionPenalty
from npc_align.modeling.sampling import logits_processors

IDS = torch.tensor([[5, 6, 7, 8], [5, 5, 8, 8]])
LOGITS = torch.linspace(-2, 2, 10).repeat(2, 1)


def test_only_the_last_tokens_are_penalised() -> None:
    scores = WindowedRepetitionPenalty(2.0, 2)(IDS, LOGITS.clone())
    changed = [set((scores[row] != LOGITS[row]).nonzero().flatten().tolist()) for row in (0, 1)]
    assert changed == [{7, 8}, {8}]
    torch.testing.assert_close(scores[0, 8], LOGITS[0, 8] / 2)


def test_a_window_over_the_whole_text_is_the_plain_penalty() -> None:
    plain = RepetitionPenaltyLogitsProcessor(1.5)(IDS, LOGITS.clone())
    torch.testing.assert_close(WindowedRepetitionPenalty(1.5, 64)(IDS, LOGITS.clone()), plain)
    windowed = logits_processors({"repetition_penalty": 1.5, "repetition_window": 64})(IDS, LOGITS.clone())
    torch.testing.assert_close(windowed, plain)
    assert not torch.equal(logits_processors({"repetition_penalty": 1.5, "repetition_window": 1})(IDS, LOGITS.clone()), plain)


def test_temperature_last_filters_what_the_model_said() -> None:
    knobs = {"do_sample": True, "top_k": 0, "temperature": 4.0, "top_p": 0.5}
    kept = {}
    for last in (False, True):
        processors = logits_processors({**knobs, "temperature_last": last})
        processors.pop()  # the draw
        kept[last] = processors(IDS[:1], LOGITS[:1].clone())[0]
    untempered = LOGITS[0].softmax(0).sort(descending=True).values.cumsum(0)
    assert kept[True].isfinite().sum() == int((untempered < 0.5).sum()) + 1
    assert kept[False].isfinite().sum() > kept[True].isfinite().sum(), "a flat distribution needs more words for half its mass"
    torch.testing.assert_close(kept[True].max(), LOGITS[0].max() / 4)
