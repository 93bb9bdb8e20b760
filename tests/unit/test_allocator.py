"""What was freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from npc_align.training.allocator import return_freed_memory

CHUNK, COUNT = 64 * 1024, 1600  # 100 MiB in pieces that come from the heap


def _resident_mib() -> float:
    line = next(x for x in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if x.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only Linux with glibc has malloc_trim"
)
def test_pages_freed_below_what_is_still_used_go_back() -> None:
    chunks = [b"x" * (CHUNK + i) for i in range(COUNT)]
    kept = chunks[-1]  # glibc by itself shrinks the heap's end only
    del chunks
    before = _resident_mib()
    assert return_freed_memory()
    assert _resident_mib() < before - 80
    assert len(kept) > CHUNK


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not return_freed_memory()
