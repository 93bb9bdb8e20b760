"""TRL's SFTTrainer on examples that are tokenised and masked here, with the project's guards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from datasets import Dataset
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from npc_align.corpus import Example
from npc_align.domain import Domain
from npc_align.modeling.tokens import IGNORED, PromptCodec
from npc_align.prompt import render
from npc_align.training.trainer_mixin import RECORD_INDEX, GuardedTrainer


class GreetingSFTTrainer(GuardedTrainer, SFTTrainer):
    """TRL's trainer with record ids, spike guard and greedy gate; the loss is TRL's."""

    def units(self) -> list[list[int]]:
        return [[record] for record in range(len(self.train_dataset))]

    def row_widths(self, records: Sequence[int]) -> list[int]:
        return [self._lengths[record] for record in records]

    @cached_property
    def _lengths(self) -> list[int]:
        return [len(ids) for ids in self.train_dataset["input_ids"]]

    @cached_property
    def _labels_per_record(self) -> float:
        counts = [sum(label != IGNORED for label in labels[1:]) for labels in self.train_dataset["labels"]]
        return sum(counts) / len(counts)

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Any]], device: torch.device) -> Any:
        """What TRL divides a step's summed loss by: its labels; in batches by length the labels that so many records have on average.

        A step of short lines has few labels, and a batch by length has nothing but short lines: divided by their number, a token
        of a short line would weigh up to twice as much as one of a long line. So every token weighs the same.
        """
        counted = super()._get_num_items_in_batch(batch_samples, device)
        if counted is None or self.batches is None:
            return counted
        records = sum(len(batch["labels"]) for batch in batch_samples) * self.accelerator.num_processes
        return torch.tensor(self._labels_per_record * records, device=device)


class IndexedCollator(DataCollatorForLanguageModeling):
    """TRL's collator, which also passes each example's record index on."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        batch[RECORD_INDEX] = torch.tensor([example[RECORD_INDEX] for example in examples])
        return batch


def tokenise(examples: Sequence[Example], domain: Domain, renderer: str, codec: PromptCodec) -> Dataset:
    """Examples as input_ids, labels and record_index, every guarantee of `PromptCodec` checked on each.

    Raises:
        UserError: naming the record that breaks one.
    """
    rows = []
    for index, example in enumerate(examples):
        tokens = codec.encode(render(example.attributes, domain, renderer, codec.tokenizer), example.line, example.id)
        rows.append({"input_ids": tokens.input_ids, "labels": tokens.labels, RECORD_INDEX: index})
    return Dataset.from_list(rows)
