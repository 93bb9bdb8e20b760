"""What preference training does besides what it is for: likelihood displacement, drift of length, loss of diversity.

Each is measured against where the run began, logged with every evaluation, and ends the run when it crosses a bound: the margin and
the accuracy of DPO go on improving meanwhile. Displacement: Razin et al. 2024, https://arxiv.org/abs/2410.08847.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from npc_align.training.config import DriftSection
from npc_align.training.launch import announce
from npc_align.training.plots import read_metrics

_CHOSEN = "eval_logps/chosen"
_LENGTH = "eval_mean_length"
_DISTINCT = "eval_distinct_lines"


def drift(start: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """How far an evaluation has gone from the one at the start.

    Args:
        start, now: logged metrics of two evaluations; one that either lacks gives no figure.

    Returns:
        `displacement`: nats by which the chosen lines' mean log-probability has fallen (negative: it rose); `length_drift`: change of the greedy lines'
        mean length, as a share of the start's; `diversity_loss`: share of the start's distinct greedy lines that is gone.
    """
    found = {}
    if _CHOSEN in start and _CHOSEN in now:
        found["displacement"] = start[_CHOSEN] - now[_CHOSEN]
    if start.get(_LENGTH) and _LENGTH in now:
        found["length_drift"] = now[_LENGTH] / start[_LENGTH] - 1
    if start.get(_DISTINCT) and _DISTINCT in now:
        found["diversity_loss"] = 1 - now[_DISTINCT] / start[_DISTINCT]
    return found


def crossed(found: Mapping[str, float], section: DriftSection) -> list[str]:
    """The bounds that a drift crosses, in words."""
    bounds = {"displacement": section.displacement, "length_drift": section.length, "diversity_loss": section.diversity}
    return [
        f"{name} {found[name]:+.2f} is beyond drift.{name.partition('_')[0]}={bound}"
        for name, bound in bounds.items()
        if bound is not None and name in found and (abs(found[name]) if name == "length_drift" else found[name]) > bound
    ]


class DriftWatch(TrainerCallback):
    """Logs `drift` with every evaluation and ends the run at a bound; the best checkpoint up to then stands.

    Stands before `MetricsFile` among the callbacks, so that its figures are logged too.

    Args:
        section: the bounds.
        metrics_file: where the run logs; a resumed run finds its start there.
        start: what to measure against; None: the run's first evaluation.
    """

    def __init__(self, section: DriftSection, metrics_file: Path, start: Mapping[str, float] | None = None) -> None:
        self.section, self.metrics_file, self.start = section, metrics_file, start

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        # Not on_evaluate: TRL adds its log-probabilities to what it logs only.
        if not logs or "eval_loss" not in logs:
            return
        if self.start is None:
            self.start = self._first_evaluation() or dict(logs)
        found = drift(self.start, logs)
        logs.update({f"eval_{name}": value for name, value in found.items()})
        broken = crossed(found, self.section)
        control.should_training_stop |= bool(broken)
        if state.is_world_process_zero:
            self._tell(found, broken, state.global_step)

    def _tell(self, found: Mapping[str, float], broken: list[str], step: int) -> None:
        announce("  " + ", ".join(f"{name} {value:+.2f}" for name, value in found.items()))
        if broken:
            announce(
                f"stopping at step {step}: {'; '.join(broken)}. The best checkpoint so far becomes the adapter. For a gentler run lower "
                "optim.learning_rate or raise loss.sft_weight; to let it go on, raise the bound or set it to null"
            )

    def _first_evaluation(self) -> dict[str, float] | None:
        if not self.metrics_file.is_file():
            return None
        return next((row for row in read_metrics(self.metrics_file) if "eval_loss" in row), None)
