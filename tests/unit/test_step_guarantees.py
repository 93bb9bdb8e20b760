"""What one training step promises, held through the trainers as they run: labels, BOS, reference, what moves, accumulation, TRL's loss."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dpo.config import LOSSES
from npc_align.errors import UserError
from npc_align.modeling.tokens import IGNORED
from tests.unit.tiny_trainers import COUNT, codec_of, dpo_trainer, examples_of, pairs_of, sft_trainer, shift, weights

Make = Callable[..., Any]
CLOSE: dict[str, float] = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture
def sft(tiny_model: Path, corpus_file: Path, tmp_path: Path) -> Make:
    return lambda **changed: sft_trainer(tiny_model, corpus_file, tmp_path / "run", **changed)


@pytest.fixture
def dpo(tiny_model: Path, corpus_file: Path, tmp_path: Path) -> Make:
    return lambda **changed: dpo_trainer(tiny_model, corpus_file, tmp_path / "run", **changed)


def _only_batch(trainer: Any) -> dict[str, torch.Tensor]:
    (batch,) = list(trainer.get_train_dataloader())
    return dict(batch)


def test_sft_batches_hold_one_bos_and_labels_that_are_line_and_stop(sft: Make, tiny_model: Path, corpus_file: Path) -> None:
    batch, codec = _only_batch(sft()), codec_of(tiny_model)
    lines = [example.line for example in examples_of(corpus_file)[:COUNT]]
    learnt = [codec.tokenizer.decode(row[row != IGNORED]) for row in batch["labels"]]
    assert learnt == [lines[i] + "<eos>" for i in batch["record_index"].tolist()]
    assert (batch["input_ids"] == codec.tokenizer.bos_token_id).sum(1).tolist() == [1] * COUNT
    assert bool((batch["input_ids"][:, 0] == codec.tokenizer.bos_token_id).all())


def test_dpo_batches_hold_one_bos_and_completions_that_are_line_and_stop(dpo: Make, tiny_model: Path, corpus_file: Path) -> None:
    batch, codec, pairs = _only_batch(dpo()), codec_of(tiny_model), pairs_of(corpus_file)
    asked = [pairs[i] for i in batch["record_index"].tolist()]
    masked = zip(batch["input_ids"], batch["completion_mask"].bool(), strict=True)
    learnt = [codec.tokenizer.decode(row[mask]) for row, mask in masked]
    assert learnt == [pair.chosen + "<eos>" for pair in asked] + [pair.rejected + "<eos>" for pair in asked]
    assert (batch["input_ids"] == codec.tokenizer.bos_token_id).sum(1).tolist() == [1] * (2 * COUNT)


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_two_steps_change_every_lora_tensor_and_nothing_else(stage: str, request: pytest.FixtureRequest) -> None:
    trainer = request.getfixturevalue(stage)(max_steps=2)
    before = weights(trainer)
    trainer.train()
    after = weights(trainer)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    adapter = {name for name in before if "lora_" in name}
    assert len(adapter) == 2 * 14
    assert moved == adapter


def test_at_step_0_policy_and_reference_are_the_same(dpo: Make) -> None:
    trainer = dpo(max_steps=1)
    trainer.train()
    first = trainer.state.log_history[0]
    assert first["rewards/chosen"] == pytest.approx(0, abs=1e-5)
    assert first["rewards/rejected"] == pytest.approx(0, abs=1e-5)


def test_a_reference_that_isnt_the_policy_is_refused(dpo: Make) -> None:
    trainer = dpo(max_steps=1)
    shift(trainer.model)
    with pytest.raises(UserError, match=r"at step 0 a policy-reference log-ratio is .*the reference isn't the SFT policy"):
        trainer.train()


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_gradient_accumulation_equals_the_large_batch(stage: str, request: pytest.FixtureRequest) -> None:
    make, steps = request.getfixturevalue(stage), []
    for batch, accumulated in ((COUNT, 1), (2, COUNT // 2)):
        trainer = make(max_steps=1, per_device_train_batch_size=batch, gradient_accumulation_steps=accumulated)
        before = weights(trainer)
        trainer.train()
        steps.append({name: tensor - before[name] for name, tensor in weights(trainer).items() if "lora_" in name})
    large, accumulated_steps = steps
    assert max(step.abs().max() for step in large.values()) > 1e-2
    for name, step in large.items():
        torch.testing.assert_close(accumulated_steps[name], step, atol=1e-6, rtol=1e-4)


def test_accumulated_sft_term_is_the_mean_of_each_micro_batch(dpo: Make) -> None:
    """TRL's mean over the chosen tokens of a micro-batch: the one thing that accumulation weighs otherwise than a large batch."""
    settings = {"max_steps": 1, "per_device_train_batch_size": 4, "loss_type": ["sft"]}
    trainer = dpo(**settings, gradient_accumulation_steps=2)
    before = weights(trainer)
    batches = [dict(batch) for batch in trainer.get_train_dataloader()]
    lost = []
    for batch in batches:
        batch.pop("record_index")
        lost.append(trainer.compute_loss(trainer.model, batch))
    (sum(lost) / 2).backward()
    expected = {name: -0.5 * p.grad for name, p in trainer.model.named_parameters() if p.requires_grad}
    trainer.model.zero_grad()
    trainer.train()
    for name, step in expected.items():
        torch.testing.assert_close(weights(trainer)[name] - before[name], step, atol=1e-6, rtol=1e-4)


def _loss_and_gradients(trainer: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    trainer.model.zero_grad()
    batch = {name: tensor.clone() for name, tensor in batch.items()}
    batch.pop("record_index", None)
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}


def test_sft_loss_is_trls(sft: Make) -> None:
    ours, theirs = sft(), sft(ours=False)
    batch = _only_batch(ours)
    for trainer in (ours, theirs):
        shift(trainer.model)
        trainer.model.train()
    (loss, found), (expected, gradients) = (_loss_and_gradients(trainer, batch) for trainer in (ours, theirs))
    torch.testing.assert_close(loss, expected, **CLOSE)
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, **CLOSE)


@pytest.fixture(scope="module")
def three_trainers(tiny_model: Path, corpus_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """TRL's, ours with and without shared prompts: equal policies, moved away from their equal references."""
    made = {
        "trl": dpo_trainer(tiny_model, corpus_file, tmp_path_factory.mktemp("trl"), ours=False),
        "shared": dpo_trainer(tiny_model, corpus_file, tmp_path_factory.mktemp("shared")),
        "plain": dpo_trainer(tiny_model, corpus_file, tmp_path_factory.mktemp("plain"), share=False),
    }
    for trainer in made.values():
        shift(trainer.model)
        trainer.model.train()
        trainer.state.global_step = 1  # the reference is checked at step 0, which is past
    return made


@pytest.mark.parametrize("name", ["shared", "plain"])
def test_reference_log_probabilities_are_trls(name: str, three_trainers: dict[str, Any]) -> None:
    for column in ("ref_chosen_logps", "ref_rejected_logps"):
        ours, theirs = (torch.tensor(list(three_trainers[n].train_dataset[column])) for n in (name, "trl"))
        torch.testing.assert_close(ours, theirs.float(), **CLOSE)


@pytest.mark.parametrize("loss_type", LOSSES)
def test_dpo_loss_is_trls(loss_type: str, three_trainers: dict[str, Any]) -> None:
    """The preference loss with the SFT term beside it, and its gradients, to 1e-5 (of the largest gradient where that is above 1)."""
    batch = _only_batch(three_trainers["trl"])
    found = {}
    for name, trainer in three_trainers.items():
        trainer.loss_types, trainer.loss_weights = [loss_type, "sft"], [1.0, 0.5]
        trainer.label_smoothing = 0.1 if loss_type in ("robust", "exo_pair", "aot", "aot_unpaired") else 0.0
        found[name] = _loss_and_gradients(trainer, copy.copy(batch))
    expected, gradients = found.pop("trl")
    gradients = {name: g for name, g in gradients.items() if ".ref." not in name}
    largest = max(g.abs().max().item() for g in gradients.values())
    assert largest > 1e-4
    for loss, ours in found.values():
        torch.testing.assert_close(loss, expected, **CLOSE)
        assert ours.keys() == gradients.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(ours[name], gradient, atol=1e-5 * max(1, largest), rtol=1e-5)
