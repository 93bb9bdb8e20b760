"""npc-pref: the way from candidates to the file DPO reads, through the real commands."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from npc_align.checks import rules_hash
from npc_align.corpus import read_examples, split_examples
from npc_align.domain import load_domain, shipped_file
from npc_align.prompt import render
from preference_data.cli import main


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two samples for each of 24 training prompts: a good one, and one with a foreign word or a repeated line."""
    domain = load_domain("weapon_rental")
    examples = read_examples(shipped_file("weapon_rental", "corpus.jsonl"), domain)
    rows = []
    for index, example in enumerate(split_examples(examples, domain)["train"][:24]):
        bad = f"{example.line} really?" if index % 2 else f"{example.line} {example.line}"
        for number, line in enumerate([example.line, bad]):
            row = {"id": f"{example.id}.{number}", "attributes": example.attributes, "prompt": render(example.attributes, domain)}
            rows.append({**row, "line": line, "finished": True, "origin": {"kind": "sampled", "checkpoint": "sft", "seed": 0}})
    path = tmp_path_factory.mktemp("candidates") / "candidates.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_whole_way(candidates: Path, tmp_path: Path) -> None:
    checked, pairs, exported = (tmp_path / name for name in ("checked.jsonl", "pairs.jsonl", "preferences.jsonl"))
    assert run("check", "--input", candidates, "--output", checked).exit_code == 0
    assert [row["id"] for row in rows_of(checked)] == [row["id"] for row in rows_of(candidates)]
    result = run("pair", "--candidates", checked, "--output", pairs, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["pairs"] == len(rows_of(pairs)) > 12
    result = run("export", "--pairs", pairs, "--output", exported)
    assert result.exit_code == 0, result.output
    assert all(row["chosen"] != row["rejected"] for row in rows_of(exported))

    manifest = json.loads((tmp_path / "preferences.jsonl.manifest.json").read_text(encoding="utf-8"))
    domain = load_domain("weapon_rental")
    assert manifest["input"]["sha256"] == hashlib.sha256(pairs.read_bytes()).hexdigest()
    assert manifest["output"]["sha256"] == hashlib.sha256(exported.read_bytes()).hexdigest()
    assert manifest["pairs"] == len(rows_of(exported))
    assert manifest["rules_hash"] == rules_hash(domain)
    assert manifest["domain"] == {"name": domain.name, "hash": domain.content_hash}


def test_pairing_twice_gives_the_same_file(candidates: Path, tmp_path: Path) -> None:
    checked = tmp_path / "checked.jsonl"
    run("check", "--input", candidates, "--output", checked)
    for name in ("a", "b"):
        run("pair", "--candidates", checked, "--output", tmp_path / name, "--seed", 3, "--per-prompt", 1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    prompts = [row["prompt"] for row in rows_of(tmp_path / "a")]
    assert len(prompts) == len(set(prompts))


def test_strict_tells_a_script(candidates: Path, tmp_path: Path) -> None:
    result = run("check", "--input", candidates, "--output", tmp_path / "checked.jsonl", "--strict")
    assert result.exit_code == 1
    assert "24 break a rule" in result.output
    good = [row for row in rows_of(candidates) if row["id"].endswith(".0")]
    (tmp_path / "good.jsonl").write_text("".join(json.dumps(row) + "\n" for row in good), encoding="utf-8")
    assert run("check", "--input", tmp_path / "good.jsonl", "--output", tmp_path / "x.jsonl", "--strict").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "maker"),
    [
        (["check", "--input", "none.jsonl"], "npc-pref generate"),
        (["pair", "--candidates", "none.jsonl"], "npc-pref check"),
        (["export", "--pairs", "none.jsonl"], "npc-pref pair"),
    ],
)
def test_a_missing_input_says_which_command_makes_it(arguments: list[str], maker: str, tmp_path: Path) -> None:
    result = run(*arguments, "--output", tmp_path / "out.jsonl")
    assert result.exit_code == 1
    assert "none.jsonl" in result.output
    assert f"{maker} makes it" in result.output
    assert not (tmp_path / "out.jsonl").exists()


def test_unchecked_candidates_leave_no_file(candidates: Path, tmp_path: Path) -> None:
    result = run("pair", "--candidates", candidates, "--output", tmp_path / "pairs.jsonl")
    assert result.exit_code == 1
    assert "npc-pref check" in result.output
    assert not (tmp_path / "pairs.jsonl").exists()


def test_a_refused_export_leaves_the_old_file_and_manifest(tmp_path: Path) -> None:
    pairs, output, manifest = (tmp_path / name for name in ("pairs.jsonl", "out.jsonl", "out.jsonl.manifest.json"))
    sides = {"prompt": "p", "chosen": "같은 말.", "rejected": "같은 말.", "attributes": {}, "reasons": [], "group": "g"}
    origins = {"chosen_origin": {"kind": "corpus"}, "rejected_origin": {"kind": "sampled"}, "judge": "auto"}
    pairs.write_text(json.dumps({**sides, **origins}), encoding="utf-8")
    output.write_text("old", encoding="utf-8")
    manifest.write_text("old", encoding="utf-8")
    result = run("export", "--pairs", pairs, "--output", output)
    assert result.exit_code == 1
    assert "same line" in result.output
    assert output.read_text(encoding="utf-8") == manifest.read_text(encoding="utf-8") == "old"


def test_generate_hands_everything_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}
    fake = types.ModuleType("preference_data.generate")
    fake.run = lambda **options: asked.update(options)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "preference_data.generate", fake)
    result = run("generate", "--model", "runs/sft", "--output", tmp_path / "c.jsonl", "--limit", 5)
    assert result.exit_code == 0, result.output
    batch_size = asked.pop("batch_size")
    assert batch_size >= 1
    assert {key: str(value) for key, value in asked.items()} == {
        "model": "runs/sft",
        "output": str(tmp_path / "c.jsonl"),
        "corpus": "None",
        "domain": "weapon_rental",
        "samples": "4",
        "temperature": "1.0",
        "top_p": "1.0",
        "seed": "0",
        "max_new_tokens": "64",
        "limit": "5",
    }


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_help_has_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    if main.commands[command].callback.__module__ == "preference_data.cli":  # type: ignore[union-attr]
        assert f"npc-pref {command} " in result.output


def test_no_command_but_generate_needs_torch() -> None:
    code = (
        "import sys, preference_data.cli, preference_data.candidates, preference_data.pairs, preference_data.export;"
        "sys.exit(bool({'torch', 'transformers', 'kiwipiepy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
