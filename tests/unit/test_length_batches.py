"""Batches by length: every record once, shuffled, little padding, units together, the same order for all who ask; unbiased losses."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import skip_first_batches
from accelerate.data_loader import prepare_data_loader
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from transformers import TrainerCallback

from npc_align.training.length_batches import LengthBatches, padded_share
from tests.unit.tiny_trainers import COUNT, dpo_trainer, sft_trainer

WIDTHS = random.Random(0).choices(range(90, 131), k=803)
SINGLE = [[i] for i in range(len(WIDTHS))]


def _order(epoch: int = 0, batch: int = 8, processes: int = 1, seed: int = 1) -> list[int]:
    sampler = LengthBatches(SINGLE, WIDTHS, batch, processes, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


@given(st.lists(st.integers(1, 9), max_size=60), st.integers(1, 5), st.integers(1, 3), st.integers(0, 3))
def test_every_record_comes_once(sizes: list[int], batch: int, processes: int, epoch: int) -> None:
    units, at = [], 0
    for size in sizes:
        units.append(list(range(at, at + size)))
        at += size
    sampler = LengthBatches(units, [7 * size % 5 for size in sizes], batch, processes, seed=3)
    sampler.set_epoch(epoch)
    assert sorted(sampler) == list(range(at))
    assert len(sampler) == at


def test_the_order_follows_from_seed_and_epoch() -> None:
    assert _order() == _order()
    assert len({tuple(_order(epoch, seed=seed)) for epoch in (0, 1) for seed in (1, 2)}) == 4


def test_batches_are_of_like_length_and_come_in_no_order_of_it() -> None:
    def widths(batch: Any) -> list[int]:
        return [WIDTHS[i] for i in batch]

    order = _order()
    shuffled = random.Random(1).sample(range(len(WIDTHS)), len(WIDTHS))
    assert padded_share(order, 8, widths) < 0.15 * padded_share(shuffled, 8, widths)
    means = torch.tensor([sum(widths(order[i : i + 8])) / 8 for i in range(0, 800, 8)])
    place = torch.arange(100.0)
    assert abs(torch.corrcoef(torch.stack([means, place]))[0, 1]) < 0.3
    last = Counter(i for epoch in range(200) for i in _order(epoch)[800:])
    assert max(last.values()) < 10, "no record is always the one that is left over"
    assert abs(sum(WIDTHS[i] * n for i, n in last.items()) / 600 - sum(WIDTHS) / len(WIDTHS)) < 2


def test_the_batches_that_processes_take_at_a_time_are_alike() -> None:
    order = _order(batch=4, processes=2)
    batches = [[WIDTHS[i] for i in order[at : at + 4]] for at in range(0, 800, 4)]
    assert max(max(one + two) - min(one + two) for one, two in zip(batches[::2], batches[1::2], strict=True)) <= 4


def test_units_stay_in_one_batch() -> None:
    sizes = random.Random(5).choices([1, 1, 1, 2, 3], k=300)
    units, at = [], 0
    for size in sizes:
        units.append(list(range(at, at + size)))
        at += size
    order = list(LengthBatches(units, [100 + size for size in sizes], 4, 1, 7))
    batch_of = {record: place // 4 for place, record in enumerate(order)}
    split = sum(len({batch_of[record] for record in unit}) > 1 for unit in units)
    assert split <= 2


def test_padding_is_what_the_longest_row_of_a_batch_leaves() -> None:
    def widths(batch: Sequence[int]) -> list[int]:
        return [[4, 2, 3, 3][i] for i in batch]

    assert padded_share([0, 1, 2, 3], 2, widths) == pytest.approx(1 - 12 / 14)
    assert padded_share([0, 1, 2, 3], 2, widths, multiple=3) == pytest.approx(1 - 12 / 18), "6 and 3 wide"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_resumed_second_epoch_goes_on_where_it_was(processes: int) -> None:
    def loader(rank: int) -> tuple[Any, LengthBatches]:
        sampler = LengthBatches(SINGLE, WIDTHS, 8, processes, 1)
        whole = DataLoader(range(len(WIDTHS)), batch_size=8, sampler=sampler, collate_fn=list)
        return prepare_data_loader(whole, num_processes=processes, process_index=rank, put_on_device=False), sampler

    seen: list[int] = []
    for rank in range(processes):
        whole, sampler = loader(rank)
        sampler.set_epoch(1)
        whole.set_epoch(1)
        expected = list(whole)
        resumed, sampler = loader(rank)
        sampler.set_epoch(1)  # what EpochOfSampler does as the epoch begins
        resumed = skip_first_batches(resumed, 3)
        resumed.set_epoch(1)
        assert list(resumed) == expected[3:]
        seen += [record for batch in expected for record in batch]
    assert set(seen) == set(range(len(WIDTHS)))


class _Summed(TrainerCallback):
    """The sum of the gradients that an epoch's steps have."""

    def __init__(self) -> None:
        self.gradients: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        for name, p in kwargs["model"].named_parameters():
            if p.grad is not None:
                self.gradients[name] = self.gradients.get(name, 0) + p.grad


def _epoch_gradient(trainer: Any) -> dict[str, torch.Tensor]:
    trainer.add_callback(summed := _Summed())
    trainer.train()
    return summed.gradients


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_an_epoch_by_length_has_the_gradient_of_all_records_at_once(
    stage: str, tiny_model: Path, corpus_file: Path, tmp_path: Path
) -> None:
    make = sft_trainer if stage == "sft" else dpo_trainer
    settings: dict[str, Any] = {"learning_rate": 0.0, "num_train_epochs": 1}
    if stage == "dpo":
        settings |= {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}
    whole = _epoch_gradient(make(tiny_model, corpus_file, tmp_path / "whole", **settings))
    small = make(tiny_model, corpus_file, tmp_path / "small", **settings, per_device_train_batch_size=2)
    shares = small.order_batches(True)
    assert shares["by_length"] < shares["random"]
    lengths = [small.row_widths([record])[0] for record in small.batches]
    assert lengths != sorted(lengths, reverse=True)
    found = _epoch_gradient(small)
    assert found.keys() == whole.keys()
    assert max(gradient.abs().max() for gradient in whole.values()) > 1e-2
    for name, gradient in found.items():
        torch.testing.assert_close(gradient / (COUNT // 2), whole[name], atol=1e-5, rtol=1e-4)
