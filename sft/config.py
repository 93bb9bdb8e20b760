"""The SFT run's config: one YAML file is one run."""

from __future__ import annotations

from dataclasses import dataclass, field

from npc_align.errors import UserError
from npc_align.training.config import DriftSection, GateSection, GuardSection, LoraSection, ModelSection, OptimSection


@dataclass(frozen=True)
class SFTDataSection:
    """What is learnt from."""

    domain: str = "weapon_rental"
    """A shipped domain or the path of a domain.yaml."""
    corpus: str | None = None
    """A JSONL file of examples; null: the corpus that ships with the domain."""
    renderer: str = "user_assistant"
    """`user_assistant` (### User / ### Assistant) or `chat` (the model's own chat template)."""
    max_length: int = 256
    """Longest prompt + line in tokens; a longer one is an error, never cut."""
    limit: int | None = None
    """Use the first so many training and held-out examples only; null: all."""

    def __post_init__(self) -> None:
        if self.max_length < 16:
            raise UserError(f"data.max_length={self.max_length}: must be at least 16")
        if self.limit is not None and self.limit < 1:
            raise UserError(f"data.limit={self.limit}: must be at least 1, or null for all")


@dataclass(frozen=True)
class SFTRunConfig:
    """One SFT run."""

    output_dir: str = "runs/sft"
    seed: int = 42
    model: ModelSection = field(default_factory=ModelSection)
    data: SFTDataSection = field(default_factory=SFTDataSection)
    lora: LoraSection = field(default_factory=LoraSection)
    optim: OptimSection = field(default_factory=OptimSection)
    guard: GuardSection = field(default_factory=GuardSection)
    gate: GateSection = field(default_factory=GateSection)
    drift: DriftSection = field(default_factory=lambda: DriftSection(displacement=None, length=1.0, diversity=0.8))
    """Measured against the held-out lines: a run whose greedy lines are nothing like them in length or variety is stopped."""
    choose_by: str = "loss"
    """Best checkpoint by held-out `loss`, or by greedy `violations` with the loss breaking ties."""

    def __post_init__(self) -> None:
        if self.drift.displacement is not None:
            raise UserError(f"drift.displacement={self.drift.displacement}: must be null, SFT has no chosen lines")
        if self.choose_by not in ("loss", "violations"):
            raise UserError(f"choose_by={self.choose_by!r}: allowed are loss, violations")
        if self.lora.dora and self.optim.compile:
            raise UserError("lora.dora and optim.compile exclude each other: set one of them to false")
