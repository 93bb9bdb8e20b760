"""What both trainers add to TRL's: record ids per step, the spike guard, the greedy gate inside the evaluation loop.

Private names of TRL and transformers that this project relies on are listed in `trl_seams.py`.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch
from accelerate.utils import gather_object
from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.trainer_utils import IntervalStrategy

from npc_align.errors import UserError
from npc_align.files import write_text
from npc_align.modeling.identity import Identity
from npc_align.training.allocator import FreedMemory
from npc_align.training.config import DriftSection, OptimSection
from npc_align.training.drift import DriftWatch
from npc_align.training.gate import GreedyGate, selection_score
from npc_align.training.guard import SpikeGuard
from npc_align.training.launch import announce
from npc_align.training.length_batches import EpochOfSampler, LengthBatches, padded_share
from npc_align.training.plots import plot_losses, read_metrics
from npc_align.training.run_folder import RunFolder

RECORD_INDEX = "record_index"


if TYPE_CHECKING:
    from transformers import Trainer as _Trainer  # what it is mixed into
else:
    _Trainer = object


class GuardedTrainer(_Trainer):
    """Mixin for a TRL trainer. Call `arm` before `train`."""

    gate: GreedyGate
    guard: SpikeGuard
    metrics_file: Path
    record_ids: list[str]
    engine: dict[str, Any]
    batches: LengthBatches | None = None

    def arm(self, gate: GreedyGate, guard: SpikeGuard, metrics_file: Path, record_ids: list[str]) -> None:
        """Give the trainer what it watches with.

        Args:
            gate: greedy generation and checks, run inside every evaluation.
            guard: gradient-norm watch.
            metrics_file: JSONL file that spikes are written to.
            record_ids: id of each training record, by the `record_index` in the batches.
        """
        self.gate, self.guard, self.metrics_file, self.record_ids = gate, guard, metrics_file, record_ids
        self.add_callback(CheckpointGuard(guard))
        self._step_records: list[int] = []
        self.engine = {}  # stays empty where a resumed run has no step left to train

    def row_widths(self, records: Sequence[int]) -> list[int]:
        """Tokens of each row that a batch of training records becomes in the model."""
        raise NotImplementedError

    def units(self) -> list[list[int]]:
        """Training records that are cheaper in one batch than apart."""
        raise NotImplementedError

    @property
    def row_multiple(self) -> int:
        """What a batch's width is a multiple of."""
        return self.data_collator.pad_to_multiple_of or 1

    def order_batches(self, by_length: bool) -> dict[str, float]:
        """Draw the order of the records, by length or not, and say how much of a pass is padding.

        Returns:
            Share of padded tokens in an epoch: `random`, and `by_length` where that is what trains.
        """
        args, units = self.args, self.units()
        records = [record for unit in units for record in unit]
        batch = args.per_device_train_batch_size
        shuffled = random.Random(args.seed).sample(records, len(records))
        share = {"random": padded_share(shuffled, batch, self.row_widths, self.row_multiple)}
        if by_length:
            widths = [max(self.row_widths(unit)) for unit in units]
            self.batches = LengthBatches(units, widths, batch, self.accelerator.num_processes, args.seed)
            self.add_callback(EpochOfSampler(self.batches))
            share["by_length"] = padded_share(list(self.batches), batch, self.row_widths, self.row_multiple)
        announce(
            "padding: " + ", ".join(f"{value:.1%} of tokens in batches {name.replace('_', ' ')}" for name, value in share.items())
        )
        return {name: round(value, 4) for name, value in share.items()}

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return super()._get_train_sampler(train_dataset) if self.batches is None else self.batches

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        self._step_records += inputs.pop(RECORD_INDEX).tolist()
        self.engine = self._describe_engine(model)
        return super().training_step(model, inputs, *args, **kwargs)

    def _describe_engine(self, model: Any) -> dict[str, Any]:
        """What really trained: a launcher's flag can bypass DeepSpeed without a word."""
        stage = getattr(model, "zero_optimization_stage", None)
        world = self.accelerator.num_processes
        return {"class": type(model).__name__, "zero_stage": stage() if callable(stage) else None, "world_size": world}

    def prediction_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        inputs.pop(RECORD_INDEX, None)
        return super().prediction_step(model, inputs, *args, **kwargs)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> float | None:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        records = [self.record_ids[i] for i in self._step_records]
        self._step_records = []
        if self.accelerator.num_processes > 1:
            records = gather_object(records)  # the norm is of every process's records
        if norm is not None:
            norm = float(norm)
            step = self.state.global_step + 1
            typical = self.guard.observe(norm)
            if typical is not None and self.is_world_process_zero():
                self._record_spike(step, norm, typical, records)
            self.guard.check(step, records)
        return norm

    def _record_spike(self, step: int, norm: float, typical: float, records: list[str]) -> None:
        finite = norm if math.isfinite(norm) else str(norm)
        # Before there is a median it is infinite, which JSON can't say.
        median = typical if math.isfinite(typical) else None
        row = {"event": "spike", "step": step, "grad_norm": finite, "median": median, "records": records}
        with self.metrics_file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
        click.echo(f"gradient spike at step {step}: {norm:.1f} against a median of {typical:.1f}", err=True)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's loop, plus the gate's metrics, so that they reach the choice of the best and early stopping."""
        # Compiled layers would be compiled once more for a pass without gradients, which takes longer than the pass.
        with torch.compiler.set_stance("force_eager"):
            output = super().evaluation_loop(*args, **kwargs)
        prefix = kwargs.get("metric_key_prefix", "eval")
        step = self.state.global_step
        policy = self.accelerator.unwrap_model(self.model)
        first = self.is_world_process_zero()
        found = self.gate.measure(policy, step, write=first, sharded=is_deepspeed_zero3_enabled())
        output.metrics.update({f"{prefix}_{name}": value for name, value in found.items()})
        loss = output.metrics[f"{prefix}_loss"]
        output.metrics[f"{prefix}_selection"] = selection_score(found["violations"], loss)
        return output


class MetricsFile(TrainerCallback):
    """Everything the trainer logs, one JSON object per line, and loss.png after every evaluation."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # A resumed run repeats the steps after its checkpoint: what it logged of them before goes.
        if state.is_world_process_zero and self.path.is_file():
            kept = [row for row in read_metrics(self.path) if row["step"] <= state.global_step]
            write_text(self.path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if state.is_world_process_zero and logs:
            with self.path.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"step": state.global_step, **logs}) + "\n")

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            plot_losses(self.path, self.path.with_name("loss.png"))


class CheckpointIdentity(TrainerCallback):
    """Every checkpoint says what it is, so that it loads like a finished adapter."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self.identity.save(Path(args.output_dir) / f"checkpoint-{state.global_step}")


class CheckpointGuard(TrainerCallback):
    """Every checkpoint holds what the spike guard has seen, so that a resumed run has a median from its first step."""

    def __init__(self, guard: SpikeGuard) -> None:
        self.guard = guard

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self.guard.save(Path(args.output_dir) / f"checkpoint-{state.global_step}")


class LastStep(TrainerCallback):
    """The last step is evaluated and saved like those at `eval_steps`, which may not fall on it: it may be the best one."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # Where evaluations come once an epoch, the last one comes at this step anyway.
        if args.eval_strategy == IntervalStrategy.STEPS and state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True


def callbacks(
    optim: OptimSection, folder: RunFolder, identity: Identity, drift: DriftSection, start: dict[str, float] | None = None
) -> list[TrainerCallback]:
    """Drift from `start`, metrics file, identity of every checkpoint, an evaluation at the last step, memory handed back, early stopping."""
    file = folder.path / "metrics.jsonl"
    chosen: list[TrainerCallback] = [
        DriftWatch(drift, file, start), MetricsFile(file), CheckpointIdentity(identity), LastStep(), FreedMemory(),
    ]  # fmt: skip
    if optim.early_stopping_patience is not None:
        chosen.append(EarlyStoppingCallback(early_stopping_patience=optim.early_stopping_patience))
    return chosen


def publish_best(trainer: Any, folder: RunFolder, identity: Identity, metrics: dict[str, Any]) -> None:
    """Make the best checkpoint the run's `adapter/`, and the run finished."""
    if trainer.state.best_model_checkpoint is None:
        raise UserError(
            f"{folder.path}: no evaluation gave a finite loss, so no checkpoint is the best; lower optim.learning_rate"
        )
    best = Path(trainer.state.best_model_checkpoint)
    folder.publish(best, identity)
    folder.finish({"best_checkpoint": best.name, "best_score": trainer.state.best_metric, "engine": trainer.engine, **metrics})
    announce(f"best checkpoint {best.name} -> {folder.adapter}")
