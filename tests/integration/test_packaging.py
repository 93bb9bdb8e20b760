"""The wheel, installed in an environment of its own without torch: the data commands work, training says what is missing."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def base_install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment that holds the wheel and the base dependencies, nothing else."""
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(work), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    venv.create(work / "env", with_pip=False)
    (wheel,) = work.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", work / "env/bin/python"]  # ours, rather than one more to install
    install = [*pip, "install", "--quiet", "-c", ROOT / "constraints.txt", wheel]
    done = subprocess.run([str(c) for c in install], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return work / "env/bin"


def _run(command: list[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )


def test_npc_data_check_runs_on_the_shipped_corpus(base_install: Path, tmp_path: Path) -> None:
    find = "from npc_align.domain import shipped_file; print(shipped_file('weapon_rental', 'corpus.jsonl'))"
    corpus = _run([base_install / "python", "-c", find], tmp_path).stdout.strip()
    assert str(base_install.parent) in corpus, "the wheel carries the corpus"
    done = _run([base_install / "npc-data", "check", "--strict", corpus], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4253" in done.stdout


def test_the_wheel_carries_the_report_templates(base_install: Path, tmp_path: Path) -> None:
    find = "from importlib.resources import files; print(*(f.name for f in files('npc_align.evaluation.report').joinpath('templates').iterdir()))"
    done = _run([base_install / "python", "-c", find], tmp_path)
    assert set(done.stdout.split()) == {"report.html.j2", "report.md.j2", "report.css", "report.js"}


def test_base_install_has_no_torch(base_install: Path, tmp_path: Path) -> None:
    done = _run([base_install / "python", "-c", "import torch"], tmp_path)
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["npc-eval", "presets"],
        ["npc-chat", "--model", "x"],
        ["npc-pref", "generate", "--model", "x"],
        ["python", "-m", "sft.train", "--config", str(ROOT / "configs/sft/default.yaml")],
        ["python", "-m", "dpo.train", "--config", str(ROOT / "configs/dpo/default.yaml")],
    ],
    ids=lambda c: c[0] if c[0] != "python" else c[2],
)
def test_without_the_train_extra_commands_say_what_to_install(base_install: Path, tmp_path: Path, command: list[str]) -> None:
    _run([base_install / "npc-pref", "init"], tmp_path)
    done = _run([base_install / command[0], *command[1:]], tmp_path)
    assert done.returncode == 1
    assert "pip install 'npc-align[train]'" in done.stderr
    assert "Traceback" not in done.stderr
