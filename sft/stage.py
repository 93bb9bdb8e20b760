"""The SFT stage, read top to bottom: data, model, adapter, trainer, best checkpoint."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from peft import LoraConfig, TaskType
from trl import SFTConfig

from npc_align.checks import rules_hash
from npc_align.corpus import Example, read_examples
from npc_align.domain import Domain, default_corpus, load_domain
from npc_align.files import file_hash
from npc_align.modeling.compiled import compile_layers
from npc_align.modeling.completion_head import use_completion_head
from npc_align.modeling.device import Device, choose_device
from npc_align.modeling.identity import Identity, lasting_name, weights_hash
from npc_align.modeling.load import load_base, load_tokenizer, model_folder
from npc_align.modeling.lora import Coverage, peft_names, resolve_targets
from npc_align.modeling.shared_prompt import MULTIPLE
from npc_align.modeling.tokens import PromptCodec
from npc_align.prompt import fingerprint, render
from npc_align.splits import load_splits, splits_file
from npc_align.training.arguments import local_processes, shared_arguments
from npc_align.training.gate import GreedyGate
from npc_align.training.guard import SpikeGuard
from npc_align.training.launch import announce
from npc_align.training.run_folder import RunFolder
from npc_align.training.trainer_mixin import callbacks, publish_best
from sft.config import SFTRunConfig
from sft.trainer import GreetingSFTTrainer, IndexedCollator, tokenise


def corpus_path(run: SFTRunConfig) -> Path:
    return Path(run.data.corpus) if run.data.corpus else default_corpus(run.data.domain)


def preview_examples(run: SFTRunConfig, count: int = 3) -> None:
    """Print the first examples token by token."""
    domain = load_domain(run.data.domain)
    codec = PromptCodec(load_tokenizer(model_folder(run.model.path)), run.data.renderer, run.data.max_length)
    for example in read_examples(corpus_path(run), domain)[:count]:
        prompt = render(example.attributes, domain, run.data.renderer, codec.tokenizer)
        announce(f"{example.id}\n{codec.preview(codec.encode(prompt, example.line, example.id))}\n")


def train(run: SFTRunConfig) -> None:
    """Train, or resume, and leave the best adapter in `<output_dir>/adapter`.

    Raises:
        UserError: anything in config, data or model that the user can mend.
    """
    folder = RunFolder(run.output_dir)

    # Data
    domain = load_domain(run.data.domain)
    corpus = corpus_path(run)
    splits = load_splits(corpus, domain, augmented=True)
    examples, held_out = (splits[name][: run.data.limit] for name in ("train", "validation"))

    # Model
    base = model_folder(run.model.path)
    device = choose_device(run.model.dtype, local_processes())
    tokenizer = load_tokenizer(base)
    codec = PromptCodec(tokenizer, run.data.renderer, run.data.max_length)
    train_set = tokenise(examples, domain, run.data.renderer, codec)
    eval_set = tokenise(held_out, domain, run.data.renderer, codec)
    inputs = {
        "corpus": file_hash(corpus),
        "splits": file_hash(splits_file(corpus)) if splits_file(corpus).is_file() else "drawn",
        "domain": domain.content_hash,
        "base": weights_hash(base),
    }
    if folder.finished:
        folder.open(run, inputs)
        announce(f"{folder.path}: finished before; the adapter is {folder.adapter}")
        return
    args = SFTConfig(
        **shared_arguments(
            run.optim, device, run.output_dir, run.seed, f"eval_{'selection' if run.choose_by == 'violations' else 'loss'}"
        ),
        max_length=None,  # PromptCodec has refused what is too long; nothing is ever cut
    )
    model = load_base(base, device.dtype)
    coverage = resolve_targets(model, run.lora.targets)
    folder.open(run, inputs)
    _announce(device, coverage, examples, held_out, folder)
    identity = _identity(run, domain, codec, inputs["base"])

    # Trainer
    trainer = GreetingSFTTrainer(
        model=model,
        args=args,
        train_dataset=train_set,
        eval_dataset=eval_set,
        processing_class=tokenizer,
        data_collator=IndexedCollator(pad_token_id=tokenizer.pad_token_id, pad_to_multiple_of=MULTIPLE),
        peft_config=_lora(run, model, coverage),
        callbacks=callbacks(run.optim, folder, identity, run.drift, _reference_lines(held_out)),
    )
    causal_lm = trainer.accelerator.unwrap_model(trainer.model).get_base_model()
    use_completion_head(causal_lm)
    if run.optim.compile:
        compile_layers(causal_lm, trainer.accelerator.num_processes)
    prompts = [example.attributes for example in held_out]
    gate = GreedyGate(codec, run.data.renderer, domain, prompts, run.gate, folder.path / "samples")
    guard = SpikeGuard(run.guard)
    trainer.arm(gate, guard, folder.path / "metrics.jsonl", [example.id for example in examples])
    padding = trainer.order_batches(run.optim.group_by_length)
    checkpoint = folder.last_checkpoint()
    if trainer.is_world_process_zero() and checkpoint is None:
        folder.write_manifest(
            domain,
            inputs,
            {
                "seed": run.seed,
                "device": str(device),
                "checks": rules_hash(domain),
                "lora_layers": coverage.layers,
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
    trainer.accelerator.wait_for_everyone()


def _lora(run: SFTRunConfig, model: Any, coverage: Coverage) -> LoraConfig:
    return LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=run.lora.r,
        lora_alpha=run.lora.alpha,
        lora_dropout=run.lora.dropout,
        use_rslora=run.lora.rslora,
        use_dora=run.lora.dora,
        target_modules=peft_names(model, coverage),
    )


def _identity(run: SFTRunConfig, domain: Domain, codec: PromptCodec, base_hash: str) -> Identity:
    return Identity(
        renderer=run.data.renderer,
        prompt_hash=fingerprint(domain, run.data.renderer, codec.tokenizer),
        domain=lasting_name(run.data.domain),
        base=lasting_name(run.model.path),
        base_hash=base_hash,
        stop_id=codec.stop_id,
        max_length=run.data.max_length,
    )


def _reference_lines(held_out: list[Example]) -> dict[str, float]:
    """What the gate measures of greedy lines, of the lines they should be like."""
    lines = [example.line for example in held_out]
    return {
        "eval_mean_length": statistics.mean(map(len, lines)),
        "eval_distinct_lines": len(set(lines)) / len(lines),
    }


def _announce(device: Device, coverage: Coverage, examples: list[Example], held_out: list[Example], folder: RunFolder) -> None:
    announce(f"{device}\n{coverage}\n{len(examples)} training lines, {len(held_out)} held out; run folder {folder.path}")
