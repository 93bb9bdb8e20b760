"""npc-pref: the way from candidates to the file DPO reads, through the real commands."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from npc_align.checks import rules_hash
from npc_align.corpus import read_examples
from npc_align.domain import Domain, default_corpus, load_domain, shipped_file
from npc_align.errors import UserError
from npc_align.prompt import render
from npc_align.splits import split_examples
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
            row["domain"] = {"name": domain.name, "hash": domain.content_hash}
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
    assert all(row["domain"] == rows_of(candidates)[0]["domain"] for path in (checked, pairs, exported) for row in rows_of(path))

    manifest = json.loads((tmp_path / "preferences.jsonl.manifest.json").read_text(encoding="utf-8"))
    domain = load_domain("weapon_rental")
    assert manifest["input"]["sha256"] == hashlib.sha256(pairs.read_bytes()).hexdigest()
    assert manifest["output"]["sha256"] == hashlib.sha256(exported.read_bytes()).hexdigest()
    assert manifest["pairs"] == len(rows_of(exported))
    assert manifest["rules_hash"] == rules_hash(domain)
    assert manifest["domain"] == {"name": domain.name, "hash": domain.content_hash}


def test_the_whole_way_without_arguments(candidates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    room = tmp_path / "runs/pref"
    room.mkdir(parents=True)
    shutil.copy(candidates, room)
    for command, made in {"check": "checked", "pair": "pairs", "export": "preferences"}.items():
        result = run(command)
        assert result.exit_code == 0, result.output
        assert rows_of(room / f"{made}.jsonl")
        assert f"runs/pref/{made}.jsonl" in run(command, "--help").output


def test_the_folder_of_an_output_is_made(candidates: Path, tmp_path: Path) -> None:
    output = tmp_path / "new/folder/checked.jsonl"
    assert run("check", "--input", candidates, "--output", output).exit_code == 0
    assert output.is_file()


def own_domain(folder: Path, name: str = "weapon_rental", **changes: Any) -> Path:
    """A studio's own domain file: the shipped one with some sections changed."""
    raw = yaml.safe_load(shipped_file("weapon_rental", "domain.yaml").read_text(encoding="utf-8"))
    path = folder / "domain.yaml"
    path.write_text(yaml.safe_dump({**raw, "name": name, **changes}, allow_unicode=True), encoding="utf-8")
    return path


def test_export_refuses_pairs_of_another_domain(candidates: Path, tmp_path: Path) -> None:
    checked, pairs, output = (tmp_path / name for name in ("checked.jsonl", "pairs.jsonl", "preferences.jsonl"))
    run("check", "--input", candidates, "--output", checked)
    run("pair", "--candidates", checked, "--output", pairs)
    own = own_domain(tmp_path, "other", banned_words=["술"])
    result = run("export", "--pairs", pairs, "--output", output, "--domain", own)
    assert result.exit_code == 1
    assert "pair 1 was sampled for domain 'weapon_rental'" in result.output
    assert "not for 'other'" in result.output
    assert not output.exists()
    silent = [{key: value for key, value in row.items() if key != "domain"} for row in rows_of(pairs)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in silent), encoding="utf-8")
    assert run("export", "--pairs", pairs, "--output", output, "--domain", own).exit_code == 0
    assert "domain" not in rows_of(output)[0]


def test_pairing_in_a_studios_own_domain_asks_for_its_corpus(candidates: Path, tmp_path: Path) -> None:
    checked, own = tmp_path / "checked.jsonl", own_domain(tmp_path)
    run("check", "--input", candidates, "--output", checked)
    result = run("pair", "--candidates", checked, "--output", tmp_path / "pairs.jsonl", "--domain", own)
    assert result.exit_code == 1
    assert "brings no corpus of its own; give --corpus" in result.output


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
        "domain": "None",
        "samples": "2",
        "temperature": "1.0",
        "top_p": "1.0",
        "seed": "0",
        "max_new_tokens": "64",
        "limit": "5",
    }


def test_sampling_takes_the_corpus_of_the_models_own_domain_only_where_it_is_the_shipped_one(tmp_path: Path) -> None:
    from preference_data.generate import _own_corpus

    shipped, changed = load_domain("weapon_rental"), load_domain(str(own_domain(tmp_path)))
    assert changed.name == shipped.name
    assert _own_corpus(None, shipped) == _own_corpus("weapon_rental", shipped) == default_corpus("weapon_rental")
    for asked in (None, str(tmp_path)):
        with pytest.raises(UserError, match="brings no corpus of its own; give --corpus"):
            _own_corpus(asked, changed)


@pytest.fixture
def whole_model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes(b"{}")
    return folder


def plan_of(model: Path, domain: Domain, batch_size: int = 8, max_new_tokens: int = 64) -> str:
    from preference_data.generate import Sampling, _plan

    corpus = default_corpus("weapon_rental")
    return _plan(str(model), domain, corpus, Sampling(2, 1.0, 1.0, 0, max_new_tokens), batch_size, 10)


def test_other_splits_are_another_plan(whole_model: Path, tmp_path: Path) -> None:
    from preference_data.generate import Sampling, _plan

    domain, corpus = load_domain("weapon_rental"), tmp_path / "corpus.jsonl"
    corpus.write_bytes(default_corpus("weapon_rental").read_bytes())
    arguments = (str(whole_model), domain, corpus, Sampling(2, 1.0, 1.0, 0, 64), 8, 10)
    before = _plan(*arguments)
    corpus.with_suffix(".splits.json").write_text('{"validation": [], "test": []}', encoding="utf-8")
    assert _plan(*arguments) != before


def test_whatever_changes_the_lines_changes_the_plan(whole_model: Path, tmp_path: Path) -> None:
    domain = load_domain("weapon_rental")
    before = plan_of(whole_model, domain)
    assert plan_of(whole_model, domain) == before
    others = {
        plan_of(whole_model, domain, batch_size=4),
        plan_of(whole_model, domain, max_new_tokens=32),
        plan_of(whole_model, load_domain(str(own_domain(tmp_path)))),
    }
    os.utime(whole_model / "model.safetensors", ns=(1, 1))
    others.add(plan_of(whole_model, domain))
    (whole_model / "adapter_config.json").write_text("{}", encoding="utf-8")
    for weights in (b"one", b"two"):
        (whole_model / "adapter_model.safetensors").write_bytes(weights)
        others.add(plan_of(whole_model, domain))
    assert len(others - {before}) == 6


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
