"""npc-eval gate: the exit code follows the rate of the model's own greedy lines, and a failure of the command is no verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from npc_align.evaluation import measure
from npc_align.evaluation.cli import main
from npc_align.modeling.generation import Line


@pytest.fixture
def half_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second line is empty, which breaks a rule; the others are a greeting that breaks none for these prompts."""

    def lines(model: object, codec: object, prompts: list[str], *args: object, **kwargs: object) -> list[Line]:
        return [Line("" if i % 2 else "오늘은 구경만 하겠습니다.", True) for i in range(len(prompts))]

    monkeypatch.setattr(measure, "generate_lines", lines)


def polite(folder: Path, corpus_file: Path) -> Path:
    """Corpus lines of one personality, so that one greeting can suit them all."""
    rows = [row for row in corpus_file.read_text(encoding="utf-8").splitlines() if "존칭형" in row][:400]
    path = folder / "corpus.jsonl"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def gate(tiny_model: Path, tmp_path: Path, corpus: Path, bound: str, *more: str) -> Result:
    command = ["gate", "--model", str(tiny_model), "--max-violation", bound, "--output", str(tmp_path / "out"), "--prompts", "0"]
    return CliRunner().invoke(main, [*command, "--corpus", str(corpus), *more])


@pytest.mark.parametrize(("bound", "code", "word"), [("0.6", 0, "passed"), ("0.4", 1, "too many")])
def test_the_exit_code_follows_the_rate(
    half_bad: None, tiny_model: Path, tmp_path: Path, corpus_file: Path, bound: str, code: int, word: str
) -> None:
    done = gate(tiny_model, tmp_path, polite(tmp_path, corpus_file), bound)
    assert done.exit_code == code, done.output
    assert done.stdout.startswith(word)


def test_json_says_the_same(half_bad: None, tiny_model: Path, tmp_path: Path, corpus_file: Path) -> None:
    done = gate(tiny_model, tmp_path, polite(tmp_path, corpus_file), "0.4", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["passed"]) == (1, False)
    assert 0.4 < found["violations"]["value"] < 0.6


def test_what_fails_is_neither_yes_nor_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*options: str) -> Result:
        return CliRunner().invoke(main, ["gate", "--model", str(tmp_path / "none"), *options])

    missing = run("--max-violation", "0.1")
    assert (missing.exit_code, "no such folder" in missing.output) == (2, True)
    assert run("--max-violation", "2").exit_code == 2
    assert run().exit_code == 2
    monkeypatch.setattr("npc_align.training.launch.find_spec", lambda _: None)
    without_torch = run("--max-violation", "0.1")
    assert (without_torch.exit_code, "pip install" in without_torch.output) == (2, True)
    assert CliRunner().invoke(main, ["presets"]).exit_code == 1, "other commands fail as ever"


@pytest.mark.parametrize(("raised", "code"), [(ZeroDivisionError, 2), (KeyboardInterrupt, 130)])
def test_a_bug_is_no_verdict_either(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: type[BaseException], code: int
) -> None:
    def broken(*_: object) -> None:
        raise raised

    monkeypatch.setattr("npc_align.evaluation.grid.evaluate", broken)
    done = CliRunner().invoke(main, ["gate", "--model", str(tiny_model), "--max-violation", "0.1", "--output", str(tmp_path)])
    assert done.exit_code == code
    assert ("ZeroDivisionError" in done.stderr) is (raised is ZeroDivisionError)
