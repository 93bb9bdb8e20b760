"""Log-probabilities of completions are what the model's full logits say, whatever the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from npc_align.errors import UserError
from npc_align.modeling.load import load_base, load_tokenizer
from npc_align.modeling.scoring import score_completions
from npc_align.modeling.tokens import PromptCodec

TEXTS = [
    ("### User:\n성격: 평범형\n\n### Assistant:\n", "안녕하세요, 검 하나 빌리러 왔어요."),
    ("### User:\n성격: 야성형, 나이: 20대, 모험가타입: 전사\n\n### Assistant:\n", "크하!"),
    ("### User:\n\n### Assistant:\n", "어서 도끼를 내놔. 오늘은 크게 한판 벌일 거야. 크하하!"),
]


def test_scores_are_those_of_the_full_logits(tiny_model: Path) -> None:
    model = load_base(tiny_model, torch.float32).eval()
    codec = PromptCodec(load_tokenizer(tiny_model), "user_assistant", 400)
    for batch_size in (1, 2, 8):
        batches = list(score_completions(model, codec, TEXTS, batch_size=batch_size))
        assert [len(batch) for batch in batches] == {1: [1, 1, 1], 2: [2, 1], 8: [3]}[batch_size]
        scores = {place: score for batch in batches for place, score in batch.items()}
        for place, (prompt, line) in enumerate(TEXTS):
            tokens = codec.encode(prompt, line)
            with torch.no_grad():
                told = model(torch.tensor([tokens.input_ids])).logits[0].log_softmax(-1)
            start = len(tokens.prompt_ids)
            wanted = sum(float(told[start - 1 + i, token]) for i, token in enumerate(tokens.completion_ids))
            assert scores[place].log_probability == pytest.approx(wanted, abs=1e-3)
            assert scores[place].tokens == len(tokens.completion_ids)
            assert scores[place].mean == pytest.approx(wanted / len(tokens.completion_ids), abs=1e-4)
    assert not model.get_output_embeddings()._forward_pre_hooks


def test_a_line_that_cannot_be_scored_is_named(tiny_model: Path) -> None:
    model = load_base(tiny_model, torch.float32)
    codec = PromptCodec(load_tokenizer(tiny_model), "user_assistant", 400)
    with pytest.raises(UserError, match="line b: the line is empty"):
        list(score_completions(model, codec, [TEXTS[0], ("p", "")], names=["line a", "line b"]))
