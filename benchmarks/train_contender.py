"""One contender of train_speed.py: a training loop that steps on command. Not meant to be called by hand.

ours: the stage as the command line runs it, without evaluations and checkpoints. trl: TRL's trainer as it comes, activation
checkpointing switched off, which is in its favour here. plain: transformers + PEFT + AdamW with the full logits, the loss written out.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import TrainerCallback
from turns import Finished, Turns

from npc_align.modeling.device import choose_device
from npc_align.modeling.load import load_base, load_tokenizer, model_folder
from npc_align.modeling.lora import peft_names, resolve_targets
from npc_align.modeling.tokens import PromptCodec, Tokens
from npc_align.training.config import load_config

ROOT = Path(__file__).resolve().parent.parent
MAX_STEPS = 10_000  # more than anybody asks for


class OnCommand(TrainerCallback):
    """Steps on command, and nothing but steps."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        args.eval_on_start = False

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.turns.next()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_evaluate = control.should_save = False

    on_epoch_end = on_step_end


class ForwardClock:
    """Seconds in each of a module's forwards."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.seconds, self._entered = list[float](), 0.0
        self._hooks = [module.register_forward_pre_hook(self._enter), module.register_forward_hook(self._leave)]

    def _enter(self, *_: Any) -> None:
        self._entered = time.perf_counter()

    def _leave(self, *_: Any) -> None:
        self.seconds.append(time.perf_counter() - self._entered)

    def stop(self) -> list[float]:
        for hook in self._hooks:
            hook.remove()
        return self.seconds


def lora(model: Any) -> LoraConfig:
    names = peft_names(model, resolve_targets(model, "all-linear"))
    return LoraConfig(task_type=TaskType.CAUSAL_LM, r=16, lora_alpha=32, lora_dropout=0.0, target_modules=names)


def trl_arguments(given: dict[str, Any], device: Any) -> dict[str, Any]:
    return {
        "output_dir": given["work"],
        "per_device_train_batch_size": given["batch"],
        "per_device_eval_batch_size": given["batch"],
        "max_steps": MAX_STEPS,
        "learning_rate": 1e-5,
        "bf16": device.dtype == torch.bfloat16,
        "use_cpu": device.name == "cpu",
        "activation_checkpointing": False,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "report_to": "none",
        "max_length": None,
    }


def sft_ours(given: dict[str, Any], turns: Turns) -> None:
    from sft import stage
    from sft.config import SFTRunConfig

    theirs = stage.callbacks
    stage.callbacks = lambda *args: [*theirs(*args), OnCommand(turns)]
    stage.train(
        load_config(
            SFTRunConfig, ROOT / "configs/sft/default.yaml", [*_run(given), f"data.corpus={given['corpus']}", *given["ours"]]
        )
    )


def dpo_ours(given: dict[str, Any], turns: Turns) -> None:
    from dpo import stage
    from dpo.config import DPORunConfig

    theirs, load = stage.callbacks, stage.PeftModel.from_pretrained
    clocks: list[ForwardClock] = []

    def loaded(*args: Any, **kwargs: Any) -> Any:
        model = load(*args, **kwargs)
        clocks.append(ForwardClock(model))
        return model

    def with_turns(*args: Any) -> list[TrainerCallback]:
        return [*theirs(*args), ReferenceTime(turns, clocks), OnCommand(turns)]

    stage.callbacks, stage.PeftModel.from_pretrained = with_turns, loaded
    more = [f"model.adapter={given['adapter']}", f"data.pairs={given['pairs']}", "data.held_out=0.05", "gate.prompts=1"]
    run = [item for item in _run(given) if not item.startswith("model.path")]
    stage.train(load_config(DPORunConfig, ROOT / "configs/dpo/default.yaml", [*run, *more, *given["ours"]]))


class ReferenceTime(TrainerCallback):
    """The forwards before the first step are the reference's."""

    def __init__(self, turns: Turns, clocks: list[ForwardClock]) -> None:
        self.turns, self.clocks = turns, clocks

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.turns.facts["reference_seconds"] = [seconds for clock in self.clocks for seconds in clock.stop()]


def _run(given: dict[str, Any]) -> list[str]:
    return [
        f"output_dir={given['work']}/run", f"model.path={given['model']}", f"optim.batch_size={given['batch']}",
        f"optim.eval_batch_size={given['batch']}", "optim.epochs=1000",
    ]  # fmt: skip


def sft_trl(given: dict[str, Any], turns: Turns) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    device, tokenizer, model = _loaded(given)
    rows = [{"prompt": p["prompt"], "completion": p["chosen"]} for p in _pairs(given)]
    trainer = SFTTrainer(
        model=model, args=SFTConfig(**trl_arguments(given, device)), train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
        peft_config=lora(model), callbacks=[OnCommand(turns)],
    )  # fmt: skip
    trainer.train()


def dpo_trl(given: dict[str, Any], turns: Turns) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    device, tokenizer, model = _loaded(given)
    rows = [{key: pair[key] for key in ("prompt", "chosen", "rejected")} for pair in _pairs(given)]
    policy = PeftModel.from_pretrained(model, given["adapter"], is_trainable=True)
    clock = ForwardClock(policy)
    args = DPOConfig(
        **trl_arguments(given, device),
        precompute_ref_log_probs=True,
        beta=0.1,
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, 1.0],
    )
    trainer = DPOTrainer(
        model=policy, args=args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
        callbacks=[ReferenceTime(turns, [clock]), OnCommand(turns)],
    )  # fmt: skip
    trainer.train()


def sft_plain(given: dict[str, Any], turns: Turns) -> None:
    device, tokenizer, model = _loaded(given)
    model = get_peft_model(model, lora(model)).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
    codec = PromptCodec(tokenizer, "user_assistant", 1024)
    encoded = [codec.encode(pair["prompt"], pair["chosen"]) for pair in _pairs(given)]
    for batch in _batches(encoded, given["batch"]):
        turns.next()
        with torch.autocast("cpu", torch.bfloat16, enabled=device.dtype == torch.bfloat16):
            loss = model(**_padded(batch, tokenizer.pad_token_id)).loss
        _update(loss, optimizer, model)


def dpo_plain(given: dict[str, Any], turns: Turns) -> None:
    """Rafailov et al. 2023, equation 7, and an SFT term; the reference is the frozen adapter's log-probabilities, computed beforehand."""
    device, tokenizer, model = _loaded(given)
    model = PeftModel.from_pretrained(model, given["adapter"], is_trainable=True).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
    codec = PromptCodec(tokenizer, "user_assistant", 1024)
    encoded = [tuple(codec.encode(pair["prompt"], pair[side]) for side in ("chosen", "rejected")) for pair in _pairs(given)]

    def log_probs(batch: list[Any]) -> torch.Tensor:
        inputs = _padded([pair[0] for pair in batch] + [pair[1] for pair in batch], tokenizer.pad_token_id)
        labels = inputs.pop("labels")[:, 1:]
        with torch.autocast("cpu", torch.bfloat16, enabled=device.dtype == torch.bfloat16):
            logits = model(**inputs).logits[:, :-1]
        scored = logits.float().log_softmax(-1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return (scored * (labels != -100)).sum(-1)

    size, reference, seconds = given["batch"], {}, []
    with torch.no_grad():
        for start in range(0, len(encoded), size):
            started, batch = time.perf_counter(), encoded[start : start + size]
            values = log_probs(batch)
            reference |= {id(pair): (values[i], values[len(batch) + i]) for i, pair in enumerate(batch)}
            seconds.append(time.perf_counter() - started)
    turns.facts["reference_seconds"] = seconds
    for batch in _batches(encoded, size):
        turns.next()
        chosen, rejected = log_probs(batch).chunk(2)
        before = torch.tensor([reference[id(pair)] for pair in batch])
        margin = (chosen - before[:, 0]) - (rejected - before[:, 1])
        tokens = sum(len(pair[0].completion_ids) for pair in batch)
        _update(-torch.nn.functional.logsigmoid(0.1 * margin).mean() - chosen.sum() / tokens, optimizer, model)


def _loaded(given: dict[str, Any]) -> tuple[Any, Any, Any]:
    device, folder = choose_device(given["dtype"]), model_folder(given["model"])
    return device, load_tokenizer(folder), load_base(folder, device.dtype)


def _pairs(given: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(given["pairs"]).read_text(encoding="utf-8").splitlines()]


def _batches(encoded: list[Any], size: int) -> Iterator[list[Any]]:
    return (encoded[i : i + size] for _ in itertools.count() for i in range(0, len(encoded) - size + 1, size))


def _padded(batch: list[Tokens], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(t.input_ids) for t in batch)
    filled = [width - len(t.input_ids) for t in batch]
    return {
        "input_ids": torch.tensor([t.input_ids + [pad] * n for t, n in zip(batch, filled, strict=True)]),
        "attention_mask": torch.tensor([[1] * len(t.input_ids) + [0] * n for t, n in zip(batch, filled, strict=True)]),
        "labels": torch.tensor([t.labels + [-100] * n for t, n in zip(batch, filled, strict=True)]),
    }


def _update(loss: torch.Tensor, optimizer: torch.optim.Optimizer, model: torch.nn.Module) -> None:
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    optimizer.zero_grad()


LOOPS = {
    "sft": {"ours": sft_ours, "trl": sft_trl, "plain": sft_plain},
    "dpo": {"ours": dpo_ours, "trl": dpo_trl, "plain": dpo_plain},
}


def main(stage: str, contender: str, given: str) -> None:
    torch.manual_seed(0)
    turns = Turns()
    try:
        LOOPS[stage][contender](json.loads(given), turns)
    except Finished:
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
