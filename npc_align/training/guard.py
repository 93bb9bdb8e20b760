"""Gradient-norm spikes: seen, recorded with the records that made them, and an end to the run when they come in a row."""

from __future__ import annotations

import json
import math
from collections import deque
from pathlib import Path
from statistics import median

from npc_align.errors import UserError
from npc_align.files import write_text
from npc_align.training.config import GuardSection

_FILE = "guard.json"
_WARMUP = 5  # steps before a median means anything


class SpikeGuard:
    """Watches the gradient norm of every optimiser step."""

    def __init__(self, section: GuardSection) -> None:
        self.section = section
        self._recent: deque[float] = deque(maxlen=section.window)
        self._in_a_row = 0

    def observe(self, norm: float) -> float | None:
        """Take one step's norm; returns the running median when the norm is a spike, else None.

        A norm that isn't finite is always a spike. Spikes don't enter the median.
        """
        typical = median(self._recent) if len(self._recent) >= min(_WARMUP, self.section.window) else math.inf
        if math.isfinite(norm) and norm <= self.section.spike_factor * typical:
            self._recent.append(norm)
            self._in_a_row = 0
            return None
        self._in_a_row += 1
        return typical

    def save(self, checkpoint: Path) -> None:
        """Write what it has seen to a checkpoint."""
        write_text(checkpoint / _FILE, json.dumps({"recent": list(self._recent), "in_a_row": self._in_a_row}) + "\n")

    def restore(self, checkpoint: Path) -> None:
        """Go on from a checkpoint; from nothing where it was cut off before the guard was written."""
        if (checkpoint / _FILE).is_file():
            seen = json.loads((checkpoint / _FILE).read_text(encoding="utf-8"))
            self._recent.extend(seen["recent"])
            self._in_a_row = seen["in_a_row"]

    def check(self, step: int, records: list[str]) -> None:
        """Stop the run after too many spikes in a row.

        Raises:
            UserError: naming the step and its records.
        """
        if self._in_a_row >= self.section.max_in_a_row:
            shown = ", ".join(records[:8])
            raise UserError(
                f"step {step}: {self._in_a_row} gradient spikes in a row (last records: {shown}). Look at these records, lower "
                "optim.learning_rate or raise optim.warmup_ratio; the spikes stand in metrics.jsonl"
            )
