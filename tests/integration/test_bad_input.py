"""A user's mistakes and the machine's: a clear error or a clean stop, no traceback, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from sft.train import main
from tests.integration.conftest import BIN, ROOT, Commands


@pytest.fixture
def refused(commands: Commands, sft_arguments: Sequence[str]) -> Callable[..., str]:
    """Runs sft/train.py with a mistake and gives what it says on stderr."""

    def run(*overrides: str) -> str:
        done = commands.inside(main, "output_dir=runs/mistake", *sft_arguments, *overrides, exit_code=1)
        assert not (commands.work / "runs/mistake/adapter").exists()
        return done.stderr

    return run


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("lora.targets=c_fc_0", "q_proj x2"),
        ("optim.learning_rat=1", "did you mean optim.learning_rate?"),
        ("data.max_length=30", "raise data.max_length"),
        ("data.corpus=missing.jsonl", "missing.jsonl"),
        ("data.renderer=chat", "chat template"),
        ("data.domain=no_such_game", "weapon_rental"),
        ("model.dtype=int4", "bfloat16"),
    ],
)
def test_sft_names_the_mistake(refused: Callable[..., str], override: str, said: str) -> None:
    assert said in refused(override)


def test_a_mistake_is_the_last_word_of_the_real_command(commands: Commands, sft_arguments: Sequence[str]) -> None:
    mistake = ("output_dir=runs/mistake", *sft_arguments, "model.path=/nowhere")
    done = commands.run(BIN / "python", ROOT / "sft/train.py", *mistake, check=False)
    assert done.returncode == 1
    assert "no such folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (commands.work / "runs/mistake/adapter").exists()


def test_cp949_corpus_is_named_with_its_cure(refused: Callable[..., str], small_corpus: Path, tmp_path: Path) -> None:
    spoiled = tmp_path / "cp949.jsonl"
    spoiled.write_bytes(small_corpus.read_text(encoding="utf-8").encode("cp949"))
    assert "iconv" in refused(f"data.corpus={spoiled}")


def test_corpus_too_small_to_split(refused: Callable[..., str], small_corpus: Path, tmp_path: Path) -> None:
    tiny = tmp_path / "two.jsonl"
    tiny.write_text("".join(small_corpus.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    assert refused(f"data.corpus={tiny}")


def test_npc_pref_says_which_command_makes_the_missing_store(commands: Commands) -> None:
    done = commands.tool("npc-pref", "pair", "--store", "none.db", check=False)
    assert done.returncode == 1
    assert "npc-pref init" in done.stderr
    assert not (commands.work / "none.db").exists()


def test_ctrl_c_stops_cleanly_and_resumes(commands: Commands, sft_arguments: Sequence[str]) -> None:
    command = [BIN / "python", ROOT / "sft/train.py", "output_dir=runs/ctrl-c", *sft_arguments, "optim.epochs=1"]
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
    deadline = time.monotonic() + 600  # of no meaning but that a hanging run ends the test, on a busy machine too
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
