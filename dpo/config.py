"""The DPO run's config: one YAML file is one run."""

from __future__ import annotations

from dataclasses import dataclass, field

from npc_align.errors import UserError
from npc_align.training.config import DriftSection, GateSection, GuardSection, OptimSection

LOSSES = (
    "sigmoid", "sigmoid_norm", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired", "apo_zero",
    "apo_down", "discopop",
)  # fmt: skip

_SMOOTHED = ("robust", "exo_pair", "aot", "aot_unpaired")


@dataclass(frozen=True)
class PolicySection:
    """The policy that DPO starts from, which is also its reference."""

    adapter: str = "runs/sft"
    """The SFT run folder, a checkpoint or an adapter folder."""
    dtype: str = "auto"


@dataclass(frozen=True)
class PairsSection:
    """What is learnt from."""

    pairs: str = "runs/pref/preferences.jsonl"
    """The file that `npc-pref export` wrote."""
    domain: str | None = None
    """null: the adapter's own domain."""
    corpus: str | None = None
    """Corpus whose validation prompts the gate answers; null: the one that ships with the domain."""
    held_out: float = 0.1
    """Share of the prompt groups whose pairs are held out for the DPO loss."""

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise UserError(f"data.held_out={self.held_out}: must be in (0, 1)")


@dataclass(frozen=True)
class LossSection:
    """The loss: TRL's, with an SFT term on the chosen lines."""

    type: str = "sigmoid"
    """A TRL DPO loss type. Rafailov et al. 2023, equation 7, is `sigmoid`."""
    beta: float = 0.1
    sft_weight: float = 1.0
    """Weight of the mean negative log-likelihood of the chosen lines, beside weight 1 of the preference loss."""
    label_smoothing: float = 0.0
    """Share of pairs taken to be judged the wrong way round, for the losses that know it: robust, aot, exo_pair (which needs one)."""

    share_prompts: bool = True
    """Run the pairs of a prompt as one row with the prompt once, off Triton devices; the same loss up to rounding."""

    def __post_init__(self) -> None:
        if self.type not in LOSSES:
            raise UserError(f"loss.type={self.type!r}: allowed are {', '.join(LOSSES)}")
        if self.beta <= 0 or self.sft_weight < 0:
            raise UserError("loss.beta must be above 0 and loss.sft_weight at least 0")
        if not 0 <= self.label_smoothing < 0.5:
            raise UserError(f"loss.label_smoothing={self.label_smoothing}: must be in [0, 0.5)")
        if self.label_smoothing and self.type not in _SMOOTHED:
            raise UserError(f"loss.label_smoothing has no effect on {self.type!r}; it works with {', '.join(_SMOOTHED)}")
        if self.type == "exo_pair" and not self.label_smoothing:
            raise UserError("loss.type=exo_pair needs loss.label_smoothing above 0; its paper uses 1e-3")


@dataclass(frozen=True)
class DPORunConfig:
    """One DPO run."""

    output_dir: str = "runs/dpo"
    seed: int = 42
    model: PolicySection = field(default_factory=PolicySection)
    data: PairsSection = field(default_factory=PairsSection)
    loss: LossSection = field(default_factory=LossSection)
    optim: OptimSection = field(default_factory=OptimSection)
    guard: GuardSection = field(default_factory=GuardSection)
    gate: GateSection = field(default_factory=GateSection)
    drift: DriftSection = field(default_factory=DriftSection)
    choose_by: str = "violations"
    """Best checkpoint by greedy `violations` (ties: held-out loss), or by held-out `loss`. DPO's own margin is never used."""

    def __post_init__(self) -> None:
        if self.choose_by not in ("loss", "violations"):
            raise UserError(f"choose_by={self.choose_by!r}: allowed are loss, violations")
