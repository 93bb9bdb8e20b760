"""Real command lines on the tiny model: each stage is run once a session, in order, and the tests look at what it left."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click import Command
from click.testing import CliRunner, Result

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")

SAMPLING = ("--samples", "2", "--limit", "40", "--max-new-tokens", "12")
SMALL_RUN = (
    "optim.epochs=2",
    "optim.batch_size=8",
    "optim.compile=false",
    "lora.r=4",
    "lora.alpha=8",
    "gate.prompts=4",
    "gate.max_new_tokens=8",
    "drift.length=null",  # lines of eight tokens are shorter than any reference
    "drift.diversity=null",
)


@dataclass(frozen=True)
class Commands:
    """Runs the project's command lines in a work folder, offline."""

    work: Path

    def run(self, *command: str | Path, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k not in _LAUNCHER}
        environment |= {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "HF_DATASETS_CACHE": str(self.work / "hf"), **extra}
        done = subprocess.run(
            [str(c) for c in command], cwd=self.work, env=environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(map(str, command))}\nexit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}")
        return done

    def launch(
        self, script: str, *arguments: str | Path, config: Path | None = None, **extra: Any
    ) -> subprocess.CompletedProcess[str]:
        """`accelerate launch` as a user types it."""
        config = config or ROOT / "configs/accelerate/cpu.yaml"
        return self.run(BIN / "accelerate", "launch", "--config_file", config, ROOT / script, *arguments, **extra)

    def script(self, script: str, *arguments: str | Path, **extra: Any) -> subprocess.CompletedProcess[str]:
        """The same without the launcher, which loads torch once more: for what comes after a launched run."""
        return self.run(BIN / "python", ROOT / script, *arguments, **extra)

    def tool(self, name: str, *arguments: str | Path, **extra: Any) -> subprocess.CompletedProcess[str]:
        return self.run(BIN / name, *arguments, **extra)

    def inside(self, command: Command, *arguments: str | Path, exit_code: int = 0) -> Result:
        """A command in this process: a new one takes ten seconds to load the libraries. For what a real command has shown before."""
        with contextlib.chdir(self.work):
            done = CliRunner().invoke(command, [str(a) for a in arguments])
        if done.exit_code != exit_code:
            pytest.fail(f"{command.name} {' '.join(map(str, arguments))}\nexit {done.exit_code}\n{done.output[-5000:]}")
        if exit_code:
            assert isinstance(done.exception, SystemExit), "an error of another kind would be a traceback"
        return done


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory, corpus_file: Path) -> Path:
    """Ninety-six lines of the shipped corpus, sixteen of each personality."""
    by_personality: dict[str, list[str]] = defaultdict(list)
    for row in corpus_file.read_text(encoding="utf-8").splitlines(keepends=True):
        by_personality[json.loads(row)["성격"]].append(row)
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    rounds = list(zip(*by_personality.values(), strict=False))[:16]
    path.write_text("".join(row for one_of_each in rounds for row in one_of_each), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def sft_arguments(tiny_model: Path, small_corpus: Path) -> Sequence[str]:
    return (
        *SMALL_RUN,
        f"model.path={tiny_model}",
        f"data.corpus={small_corpus}",
        "data.max_length=400",
        "optim.learning_rate=1e-2",
    )


@pytest.fixture(scope="session")
def sft_run(commands: Commands, sft_arguments: Sequence[str]) -> Path:
    commands.launch("sft/train.py", "output_dir=runs/sft", *sft_arguments)
    return commands.work / "runs/sft"


@pytest.fixture(scope="session")
def preferences(commands: Commands, sft_run: Path, small_corpus: Path) -> Path:
    """init, generate, corrupt, check, pair and export, each by its own command, on the default store."""
    out = Path("runs/pref/preferences.jsonl")
    commands.tool("npc-pref", "init")
    commands.tool("npc-pref", "generate", "--model", sft_run, "--corpus", small_corpus, *SAMPLING)
    commands.tool("npc-pref", "corrupt", "--corpus", small_corpus, "--limit", "10")
    commands.tool("npc-pref", "check")
    commands.tool("npc-pref", "pair", "--chosen", "corpus", "--corpus", small_corpus, "--hold-out", "josa_error")
    commands.tool("npc-pref", "export", "--output", out)
    return commands.work / out


@pytest.fixture(scope="session")
def dpo_arguments(sft_run: Path, preferences: Path, small_corpus: Path) -> Sequence[str]:
    return (
        f"model.adapter={sft_run}", f"data.pairs={preferences}", f"data.corpus={small_corpus}", "optim.learning_rate=1e-3",
        "optim.eval_steps=2", "optim.compile=false", "gate.prompts=4", "gate.max_new_tokens=8",
        "drift.length=null", "drift.diversity=null",
    )  # fmt: skip


@pytest.fixture(scope="session")
def dpo_run(commands: Commands, dpo_arguments: Sequence[str]) -> Path:
    commands.launch("dpo/train.py", "output_dir=runs/dpo", *dpo_arguments)
    return commands.work / "runs/dpo"


def free_port() -> int:
    """A port for the processes of a launch: the launchers' fixed one may be another test's."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def adapter_tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
