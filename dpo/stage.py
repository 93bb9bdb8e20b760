"""The DPO stage, read top to bottom: policy, pairs, trainer, best checkpoint."""

from __future__ import annotations

from pathlib import Path

from peft import PeftModel
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from trl import DPOConfig

from dpo.config import DPORunConfig
from dpo.pairs import PreferencePair, read_pairs, split_by_group, tokenise_pairs
from dpo.reference import ReferenceCache, reference_folder
from dpo.trainer import GreetingDPOTrainer, IndexedPreferenceCollator
from npc_align.checks import rules_hash
from npc_align.domain import Attributes, Domain, default_corpus
from npc_align.errors import UserError
from npc_align.files import file_hash
from npc_align.modeling.compiled import compile_layers
from npc_align.modeling.device import Device, choose_device
from npc_align.modeling.identity import Identity, domain_of, weights_hash
from npc_align.modeling.load import base_folder, load_base, load_tokenizer, read_identity
from npc_align.modeling.tokens import PromptCodec
from npc_align.preferences import held_out_kinds
from npc_align.splits import load_splits
from npc_align.training.arguments import local_processes, shared_arguments
from npc_align.training.gate import GreedyGate
from npc_align.training.guard import SpikeGuard
from npc_align.training.launch import announce
from npc_align.training.plots import read_metrics
from npc_align.training.run_folder import RunFolder
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
    base = base_folder(identity, adapter)
    device = choose_device(run.model.dtype, local_processes())
    tokenizer = load_tokenizer(base)
    identity.check_prompt(domain, tokenizer, adapter)
    codec = PromptCodec(tokenizer, identity.renderer, identity.max_length)

    # Pairs
    pairs_file = Path(run.data.pairs)
    pairs = read_pairs(pairs_file, domain, identity.renderer, tokenizer)
    training, held_out = split_by_group(pairs, run.data.held_out, run.seed)
    base_hash = weights_hash(base)
    if base_hash != identity.base_hash:
        raise UserError(
            f"{base}: its weights ({base_hash}) are not those that {adapter} was trained on ({identity.base_hash}); restore them, or train the adapter again"
        )
    inputs = {
        "pairs": file_hash(pairs_file),
        "domain": domain.content_hash,
        "base": base_hash,
        "adapter": file_hash(adapter / "adapter_model.safetensors"),
    }
    if folder.finished:
        folder.open(run, inputs)
        announce(f"{folder.path}: finished before; the adapter is {folder.adapter}")
        return
    checkpoint = folder.last_checkpoint()
    args = _arguments(run, device, new=checkpoint is None)  # before the model: from it ZeRO-3 knows to divide what is loaded
    policy = _policy(base, adapter, device)
    if run.optim.compile and policy.peft_config["default"].use_dora:
        raise UserError(f"{adapter} is a DoRA adapter, which isn't compiled: set optim.compile=false")
    folder.open(run, inputs)
    announce(
        f"{device}\n{len(training)} training pairs, {len(held_out)} held out; reference: {adapter}; run folder {folder.path}"
    )

    # Trainer
    trainer = GreetingDPOTrainer(
        model=policy,
        args=args,
        train_dataset=tokenise_pairs(training, codec),
        eval_dataset=tokenise_pairs(held_out, codec),
        processing_class=tokenizer,
        data_collator=IndexedPreferenceCollator(pad_token_id=tokenizer.pad_token_id),
        callbacks=callbacks(run.optim, folder, identity, run.drift),
        share_prompts=run.loss.share_prompts,
    )
    if run.optim.compile:
        compile_layers(trainer.accelerator.unwrap_model(trainer.model).get_base_model(), trainer.accelerator.num_processes)
    trainer.precompute_reference(ReferenceCache(reference_folder(base_hash, adapter, device.dtype)))
    prompts = _validation_prompts(run, identity, domain)
    gate = GreedyGate(codec, identity.renderer, domain, prompts, run.gate, folder.path / "samples")
    guard = SpikeGuard(run.guard)
    trainer.arm(gate, guard, folder.path / "metrics.jsonl", [pair.id for pair in training])
    padding = trainer.order_batches(run.optim.group_by_length)
    if trainer.is_world_process_zero() and checkpoint is None:
        reference = {"adapter": str(adapter), "hash": inputs["adapter"]}
        folder.write_manifest(
            domain,
            inputs,
            {
                "seed": run.seed,
                "device": str(device),
                "checks": rules_hash(domain),
                "reference": reference,
                "pairs": {**_counts(training, held_out), "held_out_kinds": held_out_kinds(pairs_file)},
                "padding": padding,
            },
        )
    if checkpoint:
        announce(f"resuming from {checkpoint}")
        guard.restore(checkpoint)
    result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    # The best checkpoint becomes adapter/
    if trainer.is_world_process_zero():
        publish_best(trainer, folder, identity, result.metrics)
        _compare_with_start(folder, trainer.args.metric_for_best_model)
    trainer.accelerator.wait_for_everyone()


def _policy(base: Path, adapter: Path, device: Device) -> PeftModel:
    # PEFT would keep the adapter in float32 beside a bfloat16 model; ZeRO-3 gathers both into one buffer (TRL issue 6089).
    in_float32 = not is_deepspeed_zero3_enabled()
    return PeftModel.from_pretrained(load_base(base, device.dtype), adapter, is_trainable=True, autocast_adapter_dtype=in_float32)


def _arguments(run: DPORunConfig, device: Device, *, new: bool) -> DPOConfig:
    metric = "eval_selection" if run.choose_by == "violations" else "eval_loss"
    with_sft = run.loss.sft_weight > 0
    return DPOConfig(
        **shared_arguments(run.optim, device, run.output_dir, run.seed, metric),
        beta=run.loss.beta,
        loss_type=[run.loss.type, "sft"] if with_sft else [run.loss.type],
        loss_weights=[1.0, run.loss.sft_weight] if with_sft else None,
        label_smoothing=run.loss.label_smoothing,
        precompute_ref_log_probs=False,  # GreetingDPOTrainer does, and keeps them by content
        max_length=None,  # PromptCodec has refused what is too long; nothing is ever cut
        eval_on_start=new,  # what the SFT policy does is the mark that every checkpoint is held against
    )


def _compare_with_start(folder: RunFolder, metric: str) -> None:
    """Say so when no checkpoint beat the policy that the run started from."""
    scores = {row["step"]: row[metric] for row in read_metrics(folder.path / "metrics.jsonl") if metric in row}
    later = [score for step, score in scores.items() if step > 0]
    if 0 in scores and later and min(later) >= scores[0]:
        announce(
            f"warning: no checkpoint beat the SFT policy ({metric} {scores[0]:.3f}, best after {min(later):.3f}); "
            "keep the SFT adapter, or try a gentler optim.learning_rate, more pairs or another loss.sft_weight"
        )


def _validation_prompts(run: DPORunConfig, identity: Identity, domain: Domain) -> list[Attributes]:
    corpus = Path(run.data.corpus) if run.data.corpus else default_corpus(run.data.domain or identity.domain)
    return [example.attributes for example in load_splits(corpus, domain)["validation"]]


def _counts(training: list[PreferencePair], held_out: list[PreferencePair]) -> dict[str, int]:
    return {"training": len(training), "held_out": len(held_out)}
