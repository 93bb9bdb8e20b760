"""A user's mistakes and the machine's: a clear error or a clean stop, no traceback, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.integration.conftest import BIN, ROOT, Commands


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model.path=/nowhere"], "no such folder"),
        (["lora.targets=c_fc_0"], "q_proj x2"),
        (["optim.learning_rat=1"], "did you mean optim.learning_rate?"),
        (["data.max_length=30"], "raise it"),
        (["data.corpus=missing.jsonl"], "missing.jsonl"),
        (["data.renderer=chat"], "chat template"),
        (["data.domain=no_such_game"], "weapon_rental"),
        (["model.dtype=int4"], "bfloat16"),
    ],
)
def test_sft_names_the_mistake(commands: Commands, sft_arguments: Sequence[str], overrides: list[str], said: str) -> None:
    done = commands.run(BIN / "python", ROOT / "sft/train.py", "output_dir=runs/mistake", *sft_arguments, *overrides, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (commands.work / "runs/mistake/adapter").exists()


def test_cp949_corpus_is_named_with_its_cure(commands: Commands, sft_arguments: Sequence[str], small_corpus: Path) -> None:
    spoiled = commands.work / "cp949.jsonl"
    spoiled.write_bytes(small_corpus.read_text(encoding="utf-8").encode("cp949"))
    done = commands.run(BIN / "python", ROOT / "sft/train.py", *sft_arguments, f"data.corpus={spoiled}", check=False)
    assert done.returncode == 1
    assert "iconv" in done.stderr
    assert "Traceback" not in done.stderr


def test_corpus_too_small_to_split(commands: Commands, sft_arguments: Sequence[str], small_corpus: Path) -> None:
    tiny = commands.work / "two.jsonl"
    tiny.write_text("".join(small_corpus.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    done = commands.run(BIN / "python", ROOT / "sft/train.py", *sft_arguments, f"data.corpus={tiny}", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_npc_pref_says_which_command_makes_the_missing_store(commands: Commands) -> None:
    done = commands.tool("npc-pref", "pair", "--store", "none.db", check=False)
    assert done.returncode == 1
    assert "npc-pref init" in done.stderr
    assert not (commands.work / "none.db").exists()


def test_ctrl_c_stops_cleanly_and_resumes(commands: Commands, sft_arguments: Sequence[str]) -> None:
    command = [BIN / "python", ROOT / "sft/train.py", "output_dir=runs/ctrl-c", *sft_arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [str(c) for c in command],
        cwd=commands.work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background ignores Ctrl-C, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    folder = commands.work / "runs/ctrl-c"
    deadline = time.monotonic() + 120
    while not (folder / "metrics.jsonl").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert "Traceback" not in errors
    commands.run(*command)
    assert (folder / "result.json").exists()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 KiB, enough for a config and too small for a checkpoint."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root; run the tests as root to cover a full disk")
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(mount)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount a small file system ({done.stderr.strip()}), so a full disk can't be tried")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_full_disk_is_a_clear_error_and_leaves_no_adapter(
    commands: Commands, sft_arguments: Sequence[str], full_disk: Path
) -> None:
    done = commands.run(BIN / "python", ROOT / "sft/train.py", f"output_dir={full_disk}/run", *sft_arguments, check=False)
    assert done.returncode == 1
    assert "disk full" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (full_disk / "run/adapter").exists()
