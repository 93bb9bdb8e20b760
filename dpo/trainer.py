"""TRL's DPOTrainer on pairs that are tokenised here, with the reference checked at step 0 and no second adapter carried along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from accelerate.utils import broadcast_object_list, gather_object
from datasets import Dataset, concatenate_datasets
from trl import DPOTrainer
from trl.models.utils import prepare_deepspeed
from trl.trainer.dpo_trainer import DataCollatorForPreference

from dpo.reference import ReferenceCache, completion_digest
from npc_align.errors import UserError
from npc_align.modeling.compiled import is_compiled
from npc_align.modeling.completion_head import use_completion_head
from npc_align.modeling.shared_prompt import MULTIPLE, can_share_prompts
from npc_align.progress import watched
from npc_align.training.launch import announce
from npc_align.training.trainer_mixin import RECORD_INDEX, GuardedTrainer

# Largest |log policy - log reference| per completion token at step 0. The two are the same weights in the same dtype; padding to
# another batch's width is all that may differ, which moves bfloat16 by about 0.02 per token and float32 by less than 1e-4.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}

_CHUNK = 8  # batches of reference log-probabilities that an interruption costs at most


class IndexedPreferenceCollator(DataCollatorForPreference):
    """TRL's collator, which also passes each pair's record index on."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        batch[RECORD_INDEX] = torch.tensor([example[RECORD_INDEX] for example in examples])
        return batch


class GreetingDPOTrainer(GuardedTrainer, DPOTrainer):
    """TRL's trainer; the policy is the SFT adapter, and so is the reference.

    TRL copies the adapter to `ref`. Here that copy goes at once: the reference log-probabilities are the policy's own, computed before
    anything is trained (`precompute_reference`), and the trained and saved model has the one adapter `default`.

    Args:
        share_prompts: rows of one prompt go through the model together (`npc_align.modeling.shared_prompt`).
    """

    loss_weights: list[float]

    def __init__(self, *args: Any, share_prompts: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        assert not self.args.precompute_ref_log_probs, "TRL would compute them through its own head, and hash the whole model"
        base = self.accelerator.unwrap_model(self.model).get_base_model()
        own_head = use_completion_head(base, share_prompts=share_prompts)
        self.shares_prompts = own_head and share_prompts and can_share_prompts(base) is None
        self.model.delete_adapter("ref")
        self.model.set_adapter("default")

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        """Pairs come tokenised and checked; TRL would tokenise their text again."""
        return dataset

    def precompute_reference(self, reference: ReferenceCache | None = None) -> None:
        """Give every pair its reference log-probabilities. Call it before training, and after the layers are compiled where they are.

        Args:
            reference: where the log-probabilities are kept; None computes them for this run only.
        """
        self.train_dataset, self.eval_dataset = self._with_reference(reference)
        self.precompute_ref_logps = True  # TRL's loss reads them from the batch

    def _with_reference(self, reference: ReferenceCache | None) -> tuple[Dataset, Dataset | None]:
        """Both datasets with TRL's columns `ref_chosen_logps` and `ref_rejected_logps`."""
        datasets = [dataset for dataset in (self.train_dataset, self.eval_dataset) if dataset is not None]
        both = concatenate_datasets(datasets)
        known: dict[bytes, float] = {}
        if reference is not None and self.is_world_process_zero():  # the others may not see its folder
            known = {d: logp for pair in both for d in _digests(pair) if (logp := reference.get(d)) is not None}
        known = broadcast_object_list([known])[0]
        missing = [i for i, pair in enumerate(both) if not all(d in known for d in _digests(pair))]
        if missing:
            announce(f"reference log-probabilities: {len(both) - len(missing)} of {len(both)} pairs are in the cache")
            for found in self._reference_chunks(both.select(missing)):
                known |= found
                if reference is not None and self.is_world_process_zero():
                    reference.add(found)
        done = [_with_columns(dataset, known) for dataset in datasets]
        return done[0], done[1] if len(done) > 1 else None

    def _reference_chunks(self, pairs: Dataset) -> Iterator[dict[bytes, float]]:
        """Log-probabilities of all sides, by digest, a chunk of batches at a time; every process gets all of them."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        batches = _even_batches(_by_width(pairs), self.args.per_device_eval_batch_size)
        batches += batches[-1:] * (-len(batches) % world)  # under ZeRO-3 all processes run the model equally often
        model = prepare_deepspeed(self.model, self.accelerator) if self.is_deepspeed_enabled else self.model
        training = self.model.training
        self.model.train(self._trains_as_it_evaluates)
        step = _CHUNK * world
        starts = range(0, len(batches), step)
        with watched(starts, "Reference log-probabilities", hidden=rank > 0) as shown:
            for start in shown:
                found: dict[bytes, float] = {}
                for batch in batches[start + rank : start + step : world]:
                    sides = self.compute_ref_log_probs(model, self._prepare_inputs(self.data_collator(batch)))
                    for chosen, rejected, pair in zip(*(side.tolist() for side in sides), batch, strict=True):
                        found |= dict(zip(_digests(pair), (chosen, rejected), strict=True))
                yield {digest: logp for part in gather_object([found]) for digest, logp in part.items()}
        if model is not self.model:
            model.destroy()  # its hooks would gather and divide the weights once more beside those of the engine that trains
        self.model.train(training)

    @property
    def _trains_as_it_evaluates(self) -> bool:
        """Whether the compiled layers give the reference as they train; as they evaluate they run uncompiled, in twice the time."""
        policy = self.accelerator.unwrap_model(self.model)
        dropout = policy.peft_config["default"].lora_dropout or getattr(policy.config.get_text_config(), "attention_dropout", 0)
        return is_compiled(policy.get_base_model()) and not dropout

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the chosen and of the rejected sides, each [pairs]."""
        with torch.no_grad(), self.accelerator.autocast():
            chosen, rejected = _log_probs(model, inputs).chunk(2)
        return chosen, rejected

    def units(self) -> list[list[int]]:
        """The pairs of one prompt, where they share it."""
        groups: dict[Any, list[int]] = {}
        for record, (prompt, _, _) in enumerate(self._sides):
            groups.setdefault(prompt if self.shares_prompts else record, []).append(record)
        return list(groups.values())

    def row_widths(self, records: Sequence[int]) -> list[int]:
        sides = [self._sides[record] for record in records]
        if not self.shares_prompts:
            return [len(prompt) + len(line) for prompt, *lines in sides for line in lines]
        groups: dict[Any, set[Any]] = {}
        for prompt, *lines in sides:
            groups.setdefault(prompt, set()).update(lines)
        return [len(prompt) + sum(map(len, lines)) for prompt, lines in groups.items()]

    @property
    def row_multiple(self) -> int:
        return MULTIPLE if self.shares_prompts else super().row_multiple

    @cached_property
    def _sides(self) -> list[tuple[tuple[int, ...], ...]]:
        """Prompt, chosen and rejected ids of every training pair."""
        columns = (self.train_dataset[name] for name in ("prompt_ids", "chosen_ids", "rejected_ids"))
        return [tuple(map(tuple, sides)) for sides in zip(*columns, strict=True)]

    @cached_property
    def _mean_chosen_length(self) -> float:
        return sum(len(chosen) for _, chosen, _ in self._sides) / len(self._sides)

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        if self.model.training and self.state.global_step == 0:
            self._check_reference(model, inputs)
        with self._sft_weight_by_length(inputs["completion_mask"]):
            return super()._compute_loss(model, inputs, return_outputs)

    @contextmanager
    def _sft_weight_by_length(self, completion_mask: torch.Tensor) -> Iterator[None]:
        """In batches by length TRL's SFT term, the mean over a batch's chosen tokens, is weighted by their number.

        A token of a batch of short lines would weigh more than one of long lines otherwise. The preference loss is a mean over
        pairs and needs nothing.
        """
        before = self.loss_weights
        if self.batches is not None and self.model.training and "sft" in self.loss_types:
            chosen = completion_mask.chunk(2)[0]
            share = chosen.sum().item() / (len(chosen) * self._mean_chosen_length)
            self.loss_weights = [w * share if t == "sft" else w for t, w in zip(self.loss_types, before, strict=True)]
        try:
            yield
        finally:
            self.loss_weights = before

    def _check_reference(self, model: Any, inputs: dict[str, Any]) -> None:
        """At step 0 every log-ratio is 0, or the reference isn't the policy that DPO starts from.

        Raises:
            UserError: with the largest log-ratio per token.
        """
        # With gradients, though none are taken: the forward that is checked is then the one that trains, compiled or not.
        policy = _log_probs(model, inputs).detach()
        reference = torch.cat([inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]])
        tokens = inputs["completion_mask"].sum(dim=1)
        worst = ((policy - reference).abs() / tokens).max().item()
        dtype = torch.bfloat16 if self.args.bf16 else torch.float16 if self.args.fp16 else torch.float32
        if not worst <= TOLERANCE[dtype]:
            raise UserError(
                f"at step 0 a policy-reference log-ratio is {worst:.4f} per token, above {TOLERANCE[dtype]}: the reference isn't the SFT policy. "
                "Remove the output folder and start again; if it stays, the adapter was changed while the run started"
            )


def _log_probs(model: Any, inputs: Mapping[str, Any]) -> torch.Tensor:
    """Of the completions, [2 x pairs], those of the chosen sides first."""
    labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    out = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True, use_cache=False)
    log_probs: torch.Tensor = out.log_probs.sum(dim=1)
    return log_probs


def _digests(pair: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Of the chosen and of the rejected side."""
    prompt = pair["prompt_ids"]
    return completion_digest(prompt, pair["chosen_ids"]), completion_digest(prompt, pair["rejected_ids"])


def _by_width(pairs: Dataset) -> list[Any]:
    """Pairs in order of length, those of one prompt next to each other."""
    widest: dict[tuple[int, ...], int] = {}
    for pair in pairs:
        prompt = tuple(pair["prompt_ids"])
        width = len(prompt) + len(pair["chosen_ids"]) + len(pair["rejected_ids"])
        widest[prompt] = max(width, widest.get(prompt, 0))
    return sorted(pairs, key=lambda pair: (widest[tuple(pair["prompt_ids"])], pair["prompt_ids"]))


def _even_batches(pairs: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """At most `size` a batch, as many in each: a last batch of a single row would be compiled anew."""
    count = -(-len(pairs) // size)
    return [pairs[i * len(pairs) // count : (i + 1) * len(pairs) // count] for i in range(count)]


def _with_columns(dataset: Dataset, known: Mapping[bytes, float]) -> Dataset:
    """The dataset with the two columns that TRL's loss reads; what they had of that name before goes."""
    sides = [tuple(known[digest] for digest in _digests(pair)) for pair in dataset]
    names = ("ref_chosen_logps", "ref_rejected_logps")
    dataset = dataset.remove_columns([name for name in names if name in dataset.column_names])
    for name, values in zip(names, zip(*sides, strict=True), strict=True):
        dataset = dataset.add_column(name, list(values), new_fingerprint=None)
    return dataset
