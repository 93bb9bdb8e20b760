"""The benchmarks run and say what they promise, on the tiny model; how fast anything is, no test asks."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from peft import PeftModel

from npc_align.training.launch import ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs one benchmark on the tiny model and gives its figures and its table."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def call(name: str, *arguments: str) -> tuple[dict[str, Any], str]:
        out = tmp_path / "figures.json"
        main = importlib.import_module(name).main
        result = CliRunner().invoke(main, [*arguments, "--model", str(tiny_model), "--json", str(out)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(out.read_text(encoding="utf-8")), result.output

    return call


class ThreeSteps:
    """Stands in for the commands of train_speed.py."""

    def __init__(self) -> None:
        self.facts: dict[str, float] = {}
        self.steps = 0

    def next(self) -> None:
        if self.steps == 3:
            raise importlib.import_module("turns").Finished
        self.steps += 1


@pytest.mark.parametrize("contender", ["ours", "trl", "plain"])
@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_contenders_train(
    run: Any, stage: str, contender: str, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("sft", "dpo"):
        theirs = importlib.import_module(f"{room}.stage")
        monkeypatch.setattr(theirs, "callbacks", theirs.callbacks)  # so that what the contender puts there goes again
    monkeypatch.setattr(PeftModel, "from_pretrained", PeftModel.from_pretrained)
    loops = importlib.import_module("train_contender")
    turns = ThreeSteps()
    with pytest.raises(importlib.import_module("turns").Finished):
        loops.LOOPS[stage][contender]({**given, "work": str(tmp_path)}, turns)
    assert turns.steps == 3
    passes = turns.facts.get("reference_seconds", [])
    assert bool(passes) == (stage == "dpo")
    assert all(seconds > 0 for seconds in passes)


@pytest.fixture(scope="module")
def given(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What train_speed.py hands its contenders."""
    folder = tmp_path_factory.mktemp("given")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        workload = importlib.import_module("workload")
        pairs = workload.pairs_from_corpus(24)
        return {
            "model": str(tiny_model), "pairs": str(workload.write_jsonl(pairs, folder / "pairs.jsonl")), "batch": 2, "dtype": "float32",
            "corpus": str(workload.write_jsonl(workload.as_corpus(pairs), folder / "corpus.jsonl")),
            "adapter": str(workload.fresh_adapter(str(tiny_model), folder / "adapter")),
            "ours": ["optim.compile=false", "model.dtype=float32"],
        }  # fmt: skip


class Told:
    """A contender that says what it is told to.

    `ours` takes 1 s a step, the others 4, the first step a minute more; the reference pass 1 s a pair, its first batch half a minute more.
    """

    def __init__(self, name: str, command: list[str], environment: dict[str, str] | None) -> None:
        assert (environment == ENVIRONMENT) == (name == "ours")  # as its own commands start it; the others come as they are
        self.name, self.facts = name, {"setup_seconds": 9.0, "reference_seconds": [34.0, 4.0, 4.0, 4.0]}
        self.seconds = 1.0 if name == "ours" else 4.0
        self.extra = 60.0

    def step(self) -> dict[str, float]:
        seconds, self.extra = self.seconds + self.extra, 0.0
        return {"seconds": seconds, "cpu_seconds": 2 * self.seconds}

    def finish(self) -> float:
        return 500.0 if self.name == "ours" else 1000.0


def test_train_speed_sums_up(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("train_speed"), "Contender", Told)
    figures, table = run("train_speed", "dpo", "--rounds", "3", "--count", "16", "--batch", "4", "--steps", "100")
    assert figures["ours"]["samples_per_second"] == pytest.approx(1 / (1 / 4 + 1))
    assert figures["ours"]["first_steps_extra_seconds"] == 60 + 30
    assert figures["ours"]["run_seconds"] == pytest.approx(90 + 100 * (1 + 4 * 1))
    against = figures["ours_over_trl"]
    assert against["speed"] == pytest.approx((4 / 4 + 1) / (1 / 4 + 1))
    assert (against["step"], against["step_cpu"], against["memory"]) == (4.0, 4.0, 0.5)
    assert "against plain: 1.60x" in table


def test_a_contender_steps_on_command(run: Any) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r}); import turns; t = turns.Turns(); t.facts['a'] = 1.5\n"
        "try:\n  while True: t.next(); print('noise')\nexcept turns.Finished: pass"
    )
    contender = importlib.import_module("turns").Contender("echo", ["-c", code])
    assert contender.facts["a"] == 1.5
    assert contender.step()["seconds"] > 0
    assert contender.step()["cpu_seconds"] > 0
    assert contender.finish() > 1


def test_generate_speed(run: Any) -> None:
    figures, table = run(
        "generate_speed", "--prompts", "6", "--max-new-tokens", "5", "--rounds", "1", "--dtype", "float32", "--check", "6"
    )
    assert figures["same_lines_in_float32"] == "6 of 6"
    assert figures["greedy"]["same_lines"] == 1.0
    assert all(figures[mode]["ratio"] > 0 for mode in ("greedy", "sampled", "tuned"))
    assert "tuned" in table


def test_scaling(run: Any) -> None:
    figures, table = run("scaling", "--lengths", "8,16", "--rejected", "1,2", "--pairs", "20", "--batch", "2", "--rounds", "1")
    assert [row["prompt_tokens"] for row in figures["by_prompt"]] == [8, 16]
    assert [row["rejected_per_prompt"] for row in figures["by_rejected"]] == [1, 2]
    assert figures["by_pairs"][0]["pairs"] == 20
    assert "rejected" in table


def test_a_contender_that_fails_says_why(run: Any) -> None:
    turns = importlib.import_module("turns")
    with pytest.raises(RuntimeError, match=r"(?s)broken ended with exit code 1:.*no such thing"):
        turns.Contender("broken", ["-c", "raise SystemExit('no such thing')"])
