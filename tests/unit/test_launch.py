"""What a training process finds out before anything heavy is imported."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from npc_align.errors import UserError
from npc_align.training.launch import refuse_dead_locks

PYTHON = f"py{sys.version_info.major}{sys.version_info.minor}{sys.abiflags}"


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a build that began just now, where torch keeps its builds."""
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR", raising=False)
    lock = tmp_path / f"torch_extensions/{PYTHON}_cpu/deepspeed_shm_comm/lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    return lock


def _age(lock: Path) -> None:
    then = time.time() - 3600
    os.utime(lock, (then, then))


def test_a_build_that_was_killed_is_told_with_its_lock(lock: Path) -> None:
    _age(lock)
    with pytest.raises(UserError, match=r"deepspeed_shm_comm was killed and left this lock.*Remove that file") as told:
        refuse_dead_locks()
    assert str(told.value).startswith(f"{lock}: ")
    lock.unlink()
    refuse_dead_locks()


def test_a_folder_of_ones_own_is_looked_at_too(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _age(lock)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(lock.parent.parent))
    with pytest.raises(UserError, match="deepspeed_shm_comm"):
        refuse_dead_locks()


def test_builds_for_another_python_are_not_waited_for(lock: Path) -> None:
    _age(lock)
    lock.parent.parent.rename(lock.parent.parent.with_name("py38_cu118"))
    refuse_dead_locks()


def test_a_build_that_runs_and_runs_without_deepspeed_go_on(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_dead_locks()
    _age(lock)
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "false")
    refuse_dead_locks()
