"""Freed memory goes back to the system: glibc keeps what compiling, the reference pass and evaluations have freed."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from transformers import TrainerCallback


def return_freed_memory() -> bool:
    """Hand the heap's free pages back. Elsewhere than on Linux with glibc nothing is done.

    Returns:
        Whether there was anything to hand back.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return trim is not None and bool(trim(0))


class FreedMemory(TrainerCallback):
    """Hands freed memory back where much was freed at once: not at every step, which would map and zero its buffers anew."""

    _steps = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        return_freed_memory()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._steps += 1
        if self._steps <= 2:  # the layers were compiled, and once more if the second batch had another width
            return_freed_memory()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        return_freed_memory()
