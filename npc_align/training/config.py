"""Strict YAML configs: one file is one run, an unknown key is an error, `section.key=value` overrides it.

A config is a dataclass of sections. Each field's type is checked; YAML 1.1 reads `2e-4` as text, so numbers in text are
taken as numbers where a number is due.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from npc_align.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEDULERS = ("linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt", "polynomial", "cosine_with_restarts")

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True)
class ModelSection:
    """The base model."""

    path: str = "embedded"
    """`embedded` (Gemma-3-270M, extra `[demo]`) or a model folder in Hugging Face layout."""
    dtype: str = "auto"
    """`auto` (bfloat16 where the hardware has it, else float32), `float32`, `bfloat16` or `float16`."""


@dataclass(frozen=True)
class LoraSection:
    """The adapter. Hu et al. 2021, https://arxiv.org/abs/2106.09685."""

    r: int = 16
    """Rank of the update."""
    alpha: int = 32
    """The update is scaled by alpha / r."""
    dropout: float = 0.05
    """Dropout on the adapter's input."""
    rslora: bool = False
    """Scale by alpha / sqrt(r), so that a high rank learns as fast. Kalajdzievski 2023, https://arxiv.org/abs/2312.03732."""
    dora: bool = False
    """Learn a magnitude per output beside the direction. Liu et al. 2024, https://arxiv.org/abs/2402.09353."""
    targets: str | list[str] = "all-linear"
    """Roles (`attention`, `mlp`, `all-linear`) or exact module names; one that matches nothing is an error."""

    def __post_init__(self) -> None:
        _positive(self, "lora", "r", "alpha")
        _fraction(self, "lora", "dropout")


@dataclass(frozen=True)
class OptimSection:
    """Steps, batches and the optimiser (AdamW)."""

    epochs: float = 3.0
    learning_rate: float = 2e-4
    batch_size: int = 8
    """Examples per process and step."""
    eval_batch_size: int = 16
    gradient_accumulation: int = 1
    warmup_ratio: float = 0.05
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = 0.0
    scheduler: str = "cosine"
    """One of `SCHEDULERS`."""
    max_grad_norm: float = 1.0
    gradient_checkpointing: bool = False
    """Trade time for memory; for models that don't fit otherwise."""
    compile: bool = False
    """Run the decoder layers through torch.compile; for single CPU processes, elsewhere it is announced and left alone."""
    group_by_length: bool = False
    """Batches of records of like length, shuffled: less padding, every record once an epoch, every token of the same weight.

    So that it has, a step of long lines counts for more than one of short lines, and the logged loss of single steps varies with it.
    """
    logging_steps: int = 5
    eval_steps: int | None = None
    """Evaluate and save every so many steps; null: once an epoch."""
    early_stopping_patience: int | None = 2
    """Stop after so many evaluations without a better one; null: never."""
    max_checkpoints: int = 2
    """Checkpoints kept; the best is always among them."""

    def __post_init__(self) -> None:
        _positive(
            self, "optim", "epochs", "learning_rate", "batch_size", "eval_batch_size", "gradient_accumulation", "logging_steps",
            "eval_steps", "early_stopping_patience", "max_checkpoints",
        )  # fmt: skip
        _fraction(self, "optim", "warmup_ratio")
        if self.weight_decay < 0 or not self.max_grad_norm > 0:
            raise UserError("optim.weight_decay must be at least 0 and optim.max_grad_norm above 0")
        if self.compile and self.gradient_checkpointing:
            raise UserError("optim.compile and optim.gradient_checkpointing exclude each other: set one of them to false")
        if self.scheduler not in SCHEDULERS:
            raise UserError(f"optim.scheduler={self.scheduler!r}: allowed are {', '.join(SCHEDULERS)}")


@dataclass(frozen=True)
class GuardSection:
    """Gradient-norm spikes: recorded with their records' ids, and an end to the run when they come in a row."""

    spike_factor: float = 10.0
    """A norm above this many times the running median is a spike; so is one that isn't finite."""
    window: int = 50
    """Steps that the running median looks back on."""
    max_in_a_row: int = 3
    """The run stops at so many spikes in a row."""

    def __post_init__(self) -> None:
        _positive(self, "guard", "spike_factor", "window", "max_in_a_row")


@dataclass(frozen=True)
class DriftSection:
    """How far a run may go from where it began before it is stopped; null: any far. Measured at every evaluation."""

    displacement: float | None = 15.0
    """Nats that the mean log-probability of the held-out chosen lines may fall (preference training only)."""
    length: float | None = 0.5
    """Share by which the greedy lines' mean length may change, up or down."""
    diversity: float | None = 0.5
    """Share of the distinct greedy lines that may go."""

    def __post_init__(self) -> None:
        _positive(self, "drift", "displacement", "length", "diversity")


@dataclass(frozen=True)
class GateSection:
    """Greedy lines at every checkpoint, for the eyes and for the choice of the best."""

    prompts: int = 96
    """Validation prompts that are answered and checked; 0 shows the domain's probes only."""
    max_new_tokens: int = 64
    batch_size: int = 128

    def __post_init__(self) -> None:
        _positive(self, "gate", "max_new_tokens", "batch_size")
        if self.prompts < 0:
            raise UserError(f"gate.prompts={self.prompts}: must be at least 0")


def load_config(cls: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """A config of dataclass `cls` from a YAML file and `section.key=value` overrides.

    Raises:
        UserError: missing file, unreadable YAML, an unknown section or key (with the nearest one that exists), or a value of
            the wrong type or out of range.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such config file; the shipped ones lie in configs/")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(raw, dict):
        raise UserError(f"{path}: a config is a mapping of sections, not {type(raw).__name__}")
    for override in overrides:
        _apply_override(raw, override)
    return build(cls, raw, str(path))


def build(cls: type[T], raw: Mapping[str, Any], source: str, prefix: str = "") -> T:
    """A dataclass from a mapping, strictly; nested dataclasses are sections."""
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.4)
            hint = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise UserError(f"{source}: unknown key {prefix}{key}{hint} (there are: {', '.join(prefix + n for n in names)})")
        hint_type = hints[key]
        if dataclasses.is_dataclass(hint_type):
            if not isinstance(value, Mapping):
                raise UserError(f"{source}: {prefix}{key} is a section, not {value!r}")
            values[key] = build(typing.cast(type, hint_type), value, source, f"{prefix}{key}.")
        else:
            values[key] = _coerce(value, hint_type, f"{source}: {prefix}{key}")
    missing = [f.name for f in dataclasses.fields(cls) if _required(f) and f.name not in values]
    if missing:
        raise UserError(f"{source}: {', '.join(prefix + m for m in missing)} must be set")
    return cls(**values)


def to_yaml(config: Any) -> str:
    """The resolved config as YAML, every key present."""
    return yaml.safe_dump(dataclasses.asdict(config), allow_unicode=True, sort_keys=False)


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _apply_override(raw: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise UserError(f"override {override!r}: write section.key=value")
    node = raw
    *parents, leaf = name.split(".")
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise UserError(f"override {override!r}: {parent} is no section")
    try:
        node[leaf] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"override {override!r}: not readable as YAML: {error}") from error


def _coerce(value: Any, wanted: Any, where: str) -> Any:
    options = (
        typing.get_args(wanted) if isinstance(wanted, types.UnionType) or typing.get_origin(wanted) is typing.Union else (wanted,)
    )
    for option in options:
        fitted = _fit(value, option)
        if fitted is not _MISFIT:
            return fitted
    expected = " or ".join("null" if o is type(None) else o.__name__ if type(o) is type else str(o) for o in options)
    raise UserError(f"{where}={value!r}: expected {expected}")


_MISFIT = object()


def _fit(value: Any, option: Any) -> Any:
    if option is type(None):
        return None if value is None else _MISFIT
    if typing.get_origin(option) is list:
        (item,) = typing.get_args(option)
        fitted = [_fit(v, item) for v in value] if isinstance(value, list) else [_MISFIT]
        return _MISFIT if _MISFIT in fitted else fitted
    if option is float and not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            return float(value)
        except ValueError:
            return _MISFIT
    if option in (int, str, bool) and type(value) is option:
        return value
    return _MISFIT


def _positive(section: Any, name: str, *fields: str) -> None:
    for field in fields:
        value = getattr(section, field)
        if value is not None and not value > 0:  # so put, NaN is refused too
            raise UserError(f"{name}.{field}={value}: must be above 0")


def _fraction(section: Any, name: str, *fields: str) -> None:
    for field in fields:
        if not 0 <= getattr(section, field) < 1:
            raise UserError(f"{name}.{field}={getattr(section, field)}: must be in [0, 1)")
