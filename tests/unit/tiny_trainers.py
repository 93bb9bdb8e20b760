"""Both stages' trainers on the tiny model, in this process, float32 and without evaluation; and TRL's own beside them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from dpo.pairs import PreferencePair, tokenise_pairs
from dpo.trainer import GreetingDPOTrainer, IndexedPreferenceCollator
from npc_align.corpus import Example, read_examples
from npc_align.domain import Domain, load_domain
from npc_align.modeling.completion_head import use_completion_head
from npc_align.modeling.identity import Identity, weights_hash
from npc_align.modeling.load import load_base, load_tokenizer
from npc_align.modeling.tokens import PromptCodec
from npc_align.prompt import fingerprint, render
from npc_align.training.config import GuardSection
from npc_align.training.guard import SpikeGuard
from sft.trainer import GreetingSFTTrainer, IndexedCollator, tokenise

COUNT = 8  # lines and pairs
LORA: dict[str, Any] = {"task_type": TaskType.CAUSAL_LM, "r": 2, "target_modules": "all-linear"}
# Plain gradient descent, so that weights after a step show its gradient.
PLAIN: dict[str, Any] = {
    "use_cpu": True, "report_to": "none", "save_strategy": "no", "optim": "sgd", "learning_rate": 0.5, "max_grad_norm": 1e9, "max_length": None,
    "lr_scheduler_type": "constant", "disable_tqdm": True, "remove_unused_columns": False, "dataloader_pin_memory": False, "bf16": False,
    "activation_checkpointing": False, "logging_steps": 1,
}  # fmt: skip


class TRLsDPO(DPOTrainer):
    """TRL's trainer as it is, on pairs that are tokenised already."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset


@functools.cache
def domain() -> Domain:
    return load_domain("weapon_rental")


@functools.cache
def examples_of(corpus: Path) -> list[Example]:
    """As many lines as both sides of the pairs take."""
    return read_examples(corpus, domain())[: 2 * COUNT]


@functools.cache
def codec_of(model: Path) -> PromptCodec:
    return PromptCodec(load_tokenizer(model), "user_assistant", 512)


def sft_trainer(model: Path, corpus: Path, output: Path, *, ours: bool = True, **changed: Any) -> Any:
    codec = codec_of(model)
    dataset = tokenise(examples_of(corpus)[:COUNT], domain(), "user_assistant", codec)
    if not ours:
        dataset = dataset.remove_columns("record_index")
    torch.manual_seed(3)
    trainer = (GreetingSFTTrainer if ours else SFTTrainer)(
        model=load_base(model, torch.float32),
        args=SFTConfig(output_dir=str(output), **{**PLAIN, "per_device_train_batch_size": COUNT, **changed}),
        train_dataset=dataset,
        processing_class=codec.tokenizer,
        data_collator=IndexedCollator(pad_token_id=codec.tokenizer.pad_token_id) if ours else None,
        peft_config=LoraConfig(**LORA),
    )
    if ours:
        use_completion_head(trainer.model.get_base_model())
        _arm(trainer, output)
    return trainer


def pairs_of(corpus: Path) -> list[PreferencePair]:
    examples = examples_of(corpus)
    return [
        PreferencePair(f"pair:{i}", render(good.attributes, domain()), good.line, bad.line, str(i))
        for i, (good, bad) in enumerate(zip(examples[:COUNT], examples[COUNT:], strict=True))
    ]


def adapter_of(model: Path, folder: Path, **lora: Any) -> Path:
    """A saved adapter that does something, with its identity."""
    torch.manual_seed(2)
    settings = LoraConfig(task_type=TaskType.CAUSAL_LM, r=4, lora_alpha=8, target_modules="all-linear", **lora)
    policy = get_peft_model(load_base(model, torch.float32), settings)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    policy.save_pretrained(folder)
    codec = codec_of(model)
    Identity(
        renderer="user_assistant", prompt_hash=fingerprint(domain(), "user_assistant", codec.tokenizer), domain="weapon_rental",
        base=str(model), base_hash=weights_hash(model), stop_id=codec.stop_id,
        max_length=512,
    ).save(folder)  # fmt: skip
    return folder


def policy_of(model: Path) -> PeftModel:
    """The tiny model with an adapter that does something."""
    torch.manual_seed(3)
    policy = get_peft_model(load_base(model, torch.float32), LoraConfig(**LORA))
    shift(policy)
    return policy


def shift(policy: Any) -> None:
    """Move every LoRA B, by the same for equal seeds."""
    torch.manual_seed(4)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B.default" in name:
                parameter += 0.05 * torch.randn(parameter.shape)


def dpo_trainer(
    model: Path, corpus: Path, output: Path, *, ours: bool = True, share: bool = True, reference: Any = None, **changed: Any
) -> Any:
    codec = codec_of(model)
    dataset = tokenise_pairs(pairs_of(corpus), codec)
    settings = {
        **PLAIN,
        "per_device_train_batch_size": COUNT,
        "precompute_ref_log_probs": not ours,
        "loss_type": ["sigmoid"],
        **changed,
    }
    collator = IndexedPreferenceCollator(pad_token_id=codec.tokenizer.pad_token_id)
    common: dict[str, Any] = {
        "model": policy_of(model),
        "args": DPOConfig(output_dir=str(output), **settings),
        "processing_class": codec.tokenizer,
    }
    if not ours:
        return TRLsDPO(**common, train_dataset=dataset.remove_columns("record_index"))
    trainer = GreetingDPOTrainer(**common, train_dataset=dataset, data_collator=collator, share_prompts=share)
    trainer.precompute_reference(reference)
    _arm(trainer, output)
    return trainer


def _arm(trainer: Any, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    ids = [f"record:{i}" for i in range(COUNT)]
    trainer.arm(None, SpikeGuard(GuardSection()), output / "metrics.jsonl", ids)


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
