"""TRL's DPOTrainer on pairs that are tokenised here, with the reference checked at step 0 and no second adapter carried along."""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from trl import DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from npc_align.errors import UserError
from npc_align.modeling.completion_head import use_completion_head
from npc_align.training.trainer_mixin import RECORD_INDEX, GuardedTrainer

# Largest |log policy - log reference| per completion token at step 0. The two are the same weights in the same dtype; padding to
# another batch's width is all that may differ, which moves bfloat16 by about 0.02 per token and float32 by less than 1e-4.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}


class IndexedPreferenceCollator(DataCollatorForPreference):
    """TRL's collator, which also passes each pair's record index on."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        batch[RECORD_INDEX] = torch.tensor([example[RECORD_INDEX] for example in examples])
        return batch


class GreetingDPOTrainer(GuardedTrainer, DPOTrainer):
    """TRL's trainer; the policy is the SFT adapter, and so is the reference.

    TRL copies the adapter to `ref`, precomputes the reference log-probabilities with it, and keeps it. Here `ref` goes once
    they are computed: the trained and saved model has the one adapter `default`.
    """

    _has_completion_head = False

    def __init__(self, *args: Any, share_prompts: bool = True, **kwargs: Any) -> None:
        self._share_prompts = share_prompts  # before TRL's constructor, which computes the reference
        super().__init__(*args, **kwargs)
        if "ref" in self.model.peft_config:
            self.model.delete_adapter("ref")
            self.model.set_adapter("default")

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        """Pairs come tokenised and checked; TRL would tokenise their text again."""
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        """TRL's, through the completion-only head: TRL calls this at the end of its constructor, after putting its own head there."""
        base = self.accelerator.unwrap_model(self.model).get_base_model()
        if not self._has_completion_head:
            use_completion_head(base, share_prompts=self._share_prompts)
            self._has_completion_head = True
        return super()._precompute_ref_logps(dataset, *args, **kwargs)

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> Any:
        inputs.pop(RECORD_INDEX, None)
        return super().compute_ref_log_probs(model, inputs)

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        if self.model.training and self.state.global_step == 0:
            self._check_reference(model, inputs)
        return super()._compute_loss(model, inputs, return_outputs)

    def _check_reference(self, model: Any, inputs: dict[str, Any]) -> None:
        """At step 0 every log-ratio is 0, or the reference isn't the policy that DPO starts from.

        Raises:
            UserError: with the largest log-ratio per token.
        """
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        # With gradients, though none are taken: the forward that is checked is then the one that trains, compiled or not.
        out = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            labels=labels,
            fused_lm_head=True,
            use_cache=False,
        )
        reference = torch.cat([inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]])
        tokens = inputs["completion_mask"].sum(dim=1)
        worst = ((out.log_probs.detach().sum(dim=1) - reference).abs() / tokens).max().item()
        dtype = torch.bfloat16 if self.args.bf16 else torch.float16 if self.args.fp16 else torch.float32
        if not worst <= TOLERANCE[dtype]:
            raise UserError(
                f"at step 0 a policy-reference log-ratio is {worst:.4f} per token, above {TOLERANCE[dtype]}: the reference isn't the SFT policy. "
                "Remove the output folder and its cache and start again; if it stays, the adapter was changed while the run started"
            )
