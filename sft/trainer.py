"""TRL's SFTTrainer on examples that are tokenised and masked here, with the project's guards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from npc_align.corpus import Example
from npc_align.domain import Domain
from npc_align.modeling.tokens import PromptCodec
from npc_align.prompt import render
from npc_align.training.trainer_mixin import RECORD_INDEX, GuardedTrainer


class GreetingSFTTrainer(GuardedTrainer, SFTTrainer):
    """TRL's trainer with record ids, spike guard and greedy gate; the loss is TRL's."""


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
