"""The DPO stage, read top to bottom: policy, pairs, trainer, best checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from peft import PeftModel
from trl import DPOConfig

from dpo.config import DPORunConfig
from dpo.pairs import PreferencePair, kept_on_disk, read_pairs, split_by_group, tokenise_pairs
from dpo.trainer import GreetingDPOTrainer, IndexedPreferenceCollator
from npc_align.checks import rules_hash
from npc_align.corpus import read_examples, split_examples
from npc_align.domain import Attributes, Domain, shipped_file
from npc_align.modeling.device import Device, choose_device
from npc_align.modeling.identity import domain_of, weights_hash
from npc_align.modeling.load import load_base, load_tokenizer, model_folder, read_identity
from npc_align.modeling.tokens import PromptCodec
from npc_align.training.arguments import local_processes, shared_arguments
from npc_align.training.gate import GreedyGate
from npc_align.training.guard import SpikeGuard
from npc_align.training.launch import announce
from npc_align.training.run_folder import RunFolder, file_hash
from npc_align.training.trainer_mixin import callbacks, publish_best


def train(run: DPORunConfig) -> None:
    """Train, or resume, and leave the best adapter in `<output_dir>/adapter`.

    Raises:
        UserError: anything in config, data or adapter that the user can mend.
    """
    folder = RunFolder(run.output_dir)

    # Policy: the SFT adapter, continued
    adapter, identity = read_identity(run.model.adapter)
    domain = domain_of(identity, run.data.domain)
    base = model_folder(identity.base)
    device = choose_device(run.model.dtype, local_processes())
    tokenizer = load_tokenizer(base)
    identity.check_prompt(domain, tokenizer, adapter)
    codec = PromptCodec(tokenizer, identity.renderer, identity.max_length)

    # Pairs
    pairs_file = Path(run.data.pairs)
    pairs = read_pairs(pairs_file, domain, identity.renderer, tokenizer)
    training, held_out = split_by_group(pairs, run.data.held_out, run.data.split_seed)
    base_hash = weights_hash(base)
    if base_hash != identity.base_hash:
        announce(
            f"warning: the base model's weights are not those the adapter was trained on ({base_hash}, was {identity.base_hash})"
        )
    inputs = {
        "pairs": file_hash(pairs_file),
        "domain": domain.content_hash,
        "checks": rules_hash(domain),
        "base": base_hash,
        "adapter": file_hash(adapter / "adapter_model.safetensors"),
    }
    if folder.finished:
        folder.open(run, inputs)
        announce(f"{folder.path}: finished before; the adapter is {folder.adapter}")
        return
    policy = PeftModel.from_pretrained(load_base(base, device.dtype), adapter, is_trainable=True)
    folder.open(run, inputs)
    announce(
        f"{device}\n{len(training)} training pairs, {len(held_out)} held out; reference: {adapter}; run folder {folder.path}"
    )

    # Trainer
    trainer = GreetingDPOTrainer(
        model=policy,
        args=_arguments(run, device),
        train_dataset=kept_on_disk(tokenise_pairs(training, codec), folder.path / "pairs-train"),
        eval_dataset=kept_on_disk(tokenise_pairs(held_out, codec), folder.path / "pairs-held-out"),
        processing_class=tokenizer,
        data_collator=IndexedPreferenceCollator(pad_token_id=tokenizer.pad_token_id),
        callbacks=callbacks(run.optim, folder),
    )
    prompts = _validation_prompts(run, domain)[: run.gate.prompts]
    gate = GreedyGate(codec, identity.renderer, domain, prompts, run.gate, folder.path / "samples")
    trainer.arm(gate, SpikeGuard(run.guard), folder.path / "metrics.jsonl", [pair.id for pair in training])
    checkpoint = folder.last_checkpoint()
    if trainer.is_world_process_zero() and checkpoint is None:
        reference = {"adapter": str(adapter), "hash": inputs["adapter"]}
        folder.write_manifest(
            domain,
            inputs,
            {"seed": run.seed, "device": str(device), "reference": reference, "pairs": _counts(training, held_out)},
        )
    if checkpoint:
        announce(f"resuming from {checkpoint}")
    result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    # The best checkpoint becomes adapter/
    if trainer.is_world_process_zero():
        publish_best(trainer, folder, replace(identity, base_hash=base_hash), result.metrics)
    trainer.accelerator.wait_for_everyone()


def _arguments(run: DPORunConfig, device: Device) -> DPOConfig:
    metric = "eval_selection" if run.choose_by == "violations" else "eval_loss"
    with_sft = run.loss.sft_weight > 0
    return DPOConfig(
        **shared_arguments(run.optim, device, run.output_dir, run.seed, metric),
        beta=run.loss.beta,
        loss_type=[run.loss.type, "sft"] if with_sft else [run.loss.type],
        loss_weights=[1.0, run.loss.sft_weight] if with_sft else None,
        label_smoothing=run.loss.label_smoothing,
        precompute_ref_log_probs=True,
        max_length=None,  # PromptCodec has refused what is too long; nothing is ever cut
        eval_on_start=True,  # what the SFT policy does is the mark that every checkpoint is held against
    )


def _validation_prompts(run: DPORunConfig, domain: Domain) -> list[Attributes]:
    corpus = Path(run.data.corpus) if run.data.corpus else shipped_file(domain.name, "corpus.jsonl")
    return [
        example.attributes
        for example in split_examples(read_examples(corpus, domain), domain, seed=run.data.split_seed)["validation"]
    ]


def _counts(training: list[PreferencePair], held_out: list[PreferencePair]) -> dict[str, int]:
    return {"training": len(training), "held_out": len(held_out)}
