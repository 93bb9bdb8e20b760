"""npc-pref: the way from an empty store to the file that DPO reads, through the real commands."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from own_domain import own_domain
from pref_store import DOMAIN, exported, fill, paired, rows_of, run, some_prompts

from npc_align.checks import rules_hash
from npc_align.domain import default_corpus, load_domain
from npc_align.errors import UserError
from npc_align.prompt import render
from preference_data.cli import main
from preference_data.judgements import Judgement, events, judge, undo_last
from preference_data.prompts import TrainingPrompt, corpus_of
from preference_data.store import NewCandidate
from preference_data.store_file import create_store, open_store
from preference_data.tasks import add_tasks, all_tasks


@pytest.fixture(scope="module")
def prompts() -> list[TrainingPrompt]:
    return some_prompts()


@pytest.fixture
def store_path(tmp_path: Path, prompts: list[TrainingPrompt]) -> Path:
    fill(tmp_path / "prefs.db", prompts)
    return tmp_path / "prefs.db"


def test_the_whole_way(store_path: Path, prompts: list[TrainingPrompt]) -> None:
    report = paired(store_path)
    rows = exported(store_path)
    assert report["pairs"] == len(rows) == 24
    written = {DOMAIN.combination(p.attributes): p.examples[0] for p in prompts}
    for row in rows:
        example = written[DOMAIN.combination(row["attributes"])]
        assert list(row)[:3] == ["prompt", "chosen", "rejected"]
        assert (row["chosen"], row["chosen_origin"]) == (example.line, {"kind": "corpus", "id": example.id})
        assert row["rejected_origin"]["kind"] == "sampled"
        assert row["rejected"] != row["chosen"]
        assert row["prompt"] == render(row["attributes"], DOMAIN)
        assert set(row["reasons"]) & {"foreign_text", "repetition"}
        assert row["judge"] == "auto"
    manifest = json.loads((store_path.parent / "preferences.jsonl.manifest.json").read_text(encoding="utf-8"))
    assert manifest["output"]["sha256"] == hashlib.sha256((store_path.parent / "preferences.jsonl").read_bytes()).hexdigest()
    assert manifest["pairs"] == len(rows)
    assert manifest["rules_hash"] == rules_hash(DOMAIN)
    assert manifest["domain"] == {"name": DOMAIN.name, "hash": DOMAIN.content_hash}
    assert manifest["kinds"] == dict(Counter(kind for row in rows for kind in row["reasons"]).most_common())


def test_an_endless_loop_is_exported_as_cut_off(store_path: Path, prompts: list[TrainingPrompt]) -> None:
    loop, prompt = "지팡이로 " + "짚을 " * 30, prompts[0]
    store = open_store(store_path)
    origin = {"kind": "sampled", "checkpoint": "sft", "seed": 0}
    store.add_candidates([NewCandidate(prompt.attributes, loop, origin, render(prompt.attributes, DOMAIN), finished=False)])
    store.close()
    paired(store_path, "--per-prompt", 9)
    assert {row["rejected"]: row["rejected_finished"] for row in exported(store_path)}[loop.strip()] is False
    assert [row["rejected_finished"] for row in exported(store_path)].count(True) == 24
    manifest = json.loads((store_path.parent / "preferences.jsonl.manifest.json").read_text(encoding="utf-8"))
    assert manifest["rejected_cut_off"] == 1


def test_checking_again_has_nothing_to_do_and_strict_tells_a_script(store_path: Path) -> None:
    first, second = run("check", "--store", store_path), run("check", "--store", store_path, "--strict")
    assert "72 lines, 24 break a rule" in first.output
    assert first.exit_code == 0
    assert "72 lines, 24 break a rule" in second.output
    assert second.exit_code == 1


def test_corruptions_are_made_once_and_of_lines_that_train(tmp_path: Path) -> None:
    path = tmp_path / "prefs.db"
    create_store(path, "weapon_rental").close()
    arguments = ("corrupt", "--store", path, "--limit", 6, "--kind", "repetition", "--kind", "foreign_text")
    first = run(*arguments)
    assert first.exit_code == 0, first.output
    store = open_store(path)
    made = {c.line: c.origin for c in store.candidates(store.rules) if c.origin["kind"] == "corrupted"}
    sources = {c.origin["id"] for c in store.candidates(store.rules) if c.origin["kind"] == "corpus"}
    before = store.count("candidate")
    store.close()
    assert len(made) >= 6
    assert {origin["rule"] for origin in made.values()} <= {"repetition", "foreign_text"}
    assert {origin["of"] for origin in made.values()} <= sources
    assert run(*arguments).output.splitlines()[-1] == first.output.splitlines()[-1]
    store = open_store(path)
    assert store.count("candidate") == before
    store.close()
    paired(path)
    assert {row["rejected_origin"]["kind"] for row in exported(path)} == {"corrupted"}


def test_people_have_the_last_word(store_path: Path) -> None:
    paired(store_path)
    store = open_store(store_path)
    turned, tied, mended, both, skipped, *_ = all_tasks(store)
    good, bad = (
        {t.id: ("first" if (t.detail["chosen"] == t.first_id) == is_good else "second") for t in all_tasks(store)}
        for is_good in (True, False)
    )
    side = {
        (t.id, name): {"first": t.first_id, "second": str(t.second_id)}[name]
        for t in all_tasks(store)
        for name in ("first", "second")
    }
    better = NewCandidate(
        store.candidate(mended.first_id, store.rules).attributes, "제가 고친 말입니다.", {"kind": "edited", "by": "min"}
    )
    store.add_candidates([better])
    better_id = next(c.id for c in store.candidates(store.rules) if c.line == better.line)
    judge(store, turned.id, "min", Judgement(bad[turned.id]))
    judge(store, tied.id, "min", Judgement("tie"))
    judge(store, mended.id, "min", Judgement(good[mended.id], edited=better_id))
    judge(store, both.id, "min", Judgement("both_bad"))
    judge(store, skipped.id, "min", Judgement("skip"))
    lines = {c.id: c.line for c in store.candidates(store.rules)}
    store.close()
    rows = exported(store_path)
    said = {(row["chosen"], row["rejected"]): row["judge"] for row in rows}
    assert said[lines[side[turned.id, bad[turned.id]]], lines[side[turned.id, good[turned.id]]]] == "person"
    assert said["제가 고친 말입니다.", lines[side[mended.id, bad[mended.id]]]] == "person"
    gone = {lines[side[task.id, bad[task.id]]] for task in (tied, both, skipped)}
    assert not gone & {row["rejected"] for row in rows}
    assert len(rows) == 21
    assert len(exported(store_path, "--judged-only")) == 2


def test_an_edit_that_was_taken_back_is_not_chosen(store_path: Path) -> None:
    """It stays in the store, and its history in the log."""
    paired(store_path)
    store = open_store(store_path)
    task = all_tasks(store)[0]
    original = store.candidate(task.detail["chosen"], store.rules)
    better = f"{original.line} 하하하."
    origin = {"kind": "edited", "by": "min", "of": original.id}
    store.add_candidates([NewCandidate(original.attributes, better, origin, original.text)])
    edited = next(c.id for c in store.candidates(store.rules) if c.line == better)
    for candidate in list(store.candidates(store.rules, "c.prompt_id = ?", (original.prompt_id,))):
        if candidate.origin["kind"] == "corpus":
            add_tasks(store, [(candidate.prompt_id, candidate.id, None, {})])
    judged = all_tasks(store, "mode = 'line'")
    for corpus_line in judged:  # so that the edit is the only good line of its prompt
        judge(store, corpus_line.id, "lee", Judgement("bad"))
    judge(store, task.id, "min", Judgement("both_bad", edited=edited))
    paired(store_path)
    assert edited in {t.detail.get("chosen") for t in all_tasks(store, "NOT retired")}
    undone = undo_last(store, "min")
    assert undone is not None
    paired(store_path)
    assert edited not in {t.detail.get("chosen") for t in all_tasks(store, "NOT retired")}
    assert better not in {row["chosen"] for row in exported(store_path)}
    assert store.candidate(edited, store.rules).line == better
    told = run("log", "--store", store_path, task.id).output
    assert repr(better) in told
    assert f"took back {undone.id}" in told
    store.close()


def test_pairing_again_replaces_what_nobody_has_judged(store_path: Path) -> None:
    paired(store_path)
    store = open_store(store_path)
    first = all_tasks(store)[0]
    judge(store, first.id, "min", Judgement("first"))
    store.close()
    assert exported(store_path, "--judged-only")
    held_out = sorted({kind for row in exported(store_path, "--judged-only") for kind in row["reasons"]})
    report = paired(store_path, "--hold-out", ",".join(held_out))
    assert report["held_out_kinds"] == held_out
    rows = exported(store_path)
    assert rows
    assert not [row for row in rows if set(held_out) & set(row["reasons"])], "not even what a person judged"


def test_pairing_again_after_tasks_were_assigned_exports_what_pairing_said(store_path: Path) -> None:
    paired(store_path)
    assert run("assign", "--store", store_path, "--annotators", "min,lee", "--overlap", 1).exit_code == 0
    for seed in (1, 2):
        report = paired(store_path, "--seed", seed, "--per-prompt", 1)
        assert len(exported(store_path)) == report["pairs"]


def test_a_pack_from_before_a_new_pairing_brings_back_no_pairs(store_path: Path) -> None:
    paired(store_path)
    assert run("pack", "--store", store_path, "--annotator", "min", "--output", store_path.with_name("pack.db")).exit_code == 0
    fill_more = run("corrupt", "--store", store_path, "--limit", 12, "--kind", "repetition")
    assert fill_more.exit_code == 0
    report = paired(store_path)
    assert run("merge", "--store", store_path, store_path.with_name("pack.db")).exit_code == 0
    assert len(exported(store_path)) == report["pairs"]


def test_a_task_on_the_screen_outlives_a_new_pairing(store_path: Path) -> None:
    paired(store_path)
    store = open_store(store_path)
    first = all_tasks(store)[0]
    paired(store_path, "--hold-out", "repetition")
    judge(store, first.id, "min", Judgement("first"))
    assert len(list(events(store))) == 1
    store.close()


def test_lines_are_judged_one_by_one_and_a_better_line_makes_a_pair(store_path: Path) -> None:
    run("check", "--store", store_path)
    result = run("pair", "--store", store_path, "--mode", "line", "--limit", 30)
    assert "30 new lines to judge" in result.output
    assert "0 new lines" in run("pair", "--store", store_path, "--mode", "line", "--limit", 30).output
    store = open_store(store_path)
    shown = all_tasks(store, "mode = 'line'")
    clean = [not store.candidate(t.first_id, store.rules).violations for t in shown]
    assert clean == sorted(clean, reverse=True), "what the rules let pass comes first"
    original = store.candidate(shown[0].first_id, store.rules)
    store.add_candidates([NewCandidate(original.attributes, "제가 고친 말입니다.", {"kind": "edited", "by": "min"})])
    edited = next(c.id for c in store.candidates(store.rules) if c.line == "제가 고친 말입니다.")
    judge(store, shown[0].id, "min", Judgement("fix", edited=edited))
    judge(store, shown[1].id, "min", Judgement("good"))
    store.close()
    (row,) = exported(store_path, "--judged-only")
    assert (row["chosen"], row["rejected"], row["judge"]) == ("제가 고친 말입니다.", original.line.strip(), "person")


def test_a_domain_that_no_longer_knows_a_prompt_is_told(tmp_path: Path, prompts: list[TrainingPrompt]) -> None:
    own = own_domain(tmp_path)
    store = create_store(tmp_path / "prefs.db", str(own))
    store.add_candidates(prompts[0].corpus_lines())
    store.close()
    personality = str(DOMAIN.role(prompts[0].attributes, "personality"))
    own.write_text(own.read_text(encoding="utf-8").replace(personality, "새말투"), encoding="utf-8")
    load_domain.cache_clear()
    for command in (["check"], ["export", "--output", tmp_path / "x.jsonl"]):
        result = run(*command, "--store", tmp_path / "prefs.db")
        assert result.exit_code == 1
        assert "no longer fits the domain" in result.output


def test_a_sample_that_repeats_a_corpus_line_is_the_corpus_line(tmp_path: Path, prompts: list[TrainingPrompt]) -> None:
    store = create_store(tmp_path / "prefs.db", "weapon_rental")
    example = prompts[0].examples[0]
    store.add_candidates([NewCandidate(example.attributes, example.line, {"kind": "imported"})])
    store.add_candidates(prompts[0].corpus_lines())
    (candidate,) = store.candidates(store.rules, "c.line = ?", (example.line,))
    assert candidate.origin == {"kind": "corpus", "id": example.id}
    store.close()


def test_pairing_twice_gives_the_same_file(store_path: Path) -> None:
    paired(store_path, "--seed", 3, "--per-prompt", 1)
    first = exported(store_path)
    paired(store_path, "--seed", 3, "--per-prompt", 1)
    assert exported(store_path) == first


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["check"], "no candidates yet; add some with: npc-pref generate"),
        (["pair"], "no line may be chosen. Clean draws of the model sampled last may be. That is none yet:"),
        (["pair", "--chosen", "corpus"], "no corpus line may be chosen: it has none"),
        (["pair", "--corrupted-share", "0.5"], "--corrupted-share is for --chosen corpus"),
        (["pair", "--hold-out", "rude"], "--hold-out rude: no such kind; there are: tone_break"),
        (["corrupt", "--kind", "rude"], "--kind rude: can't be made; there are: "),
        (["export", "--output", "x.jsonl"], "nothing to export (the store has no pairs); make pairs with: npc-pref pair"),
        (["check", "--input", "none.jsonl"], "--input and --output go together"),
        (["check", "--input", "none.jsonl", "--output", "x.jsonl"], "--input none.jsonl: no such file"),
    ],
)
def test_what_cannot_be_done_says_what_to_run(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    create_store(tmp_path / "prefs.db", "weapon_rental").close()
    result = run(*arguments, "--store", "prefs.db")
    assert result.exit_code != 0
    assert told in " ".join(result.output.split())
    assert not (tmp_path / "x.jsonl").exists()


def test_every_command_says_how_to_make_a_store_that_is_not_there(tmp_path: Path) -> None:
    for command in ("generate", "corrupt", "check", "pair", "export"):
        result = run(command, "--store", tmp_path / "none.db")
        assert result.exit_code == 1
        assert "make one with: npc-pref init" in result.output


def test_unchecked_candidates_are_not_paired(store_path: Path) -> None:
    result = run("pair", "--store", store_path)
    assert result.exit_code == 1
    assert "72 candidates have not been checked by today's rules" in result.output


def test_a_file_is_checked_with_its_keys_kept(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "new/folder/out.jsonl"
    rows = [
        {"attributes": DOMAIN.probes[0], "line": "처음 왔는데 shop 맞나요?", "note": 1},
        {**DOMAIN.probes[0], "인사말": "처음 왔어요."},
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = run("check", "--input", source, "--output", output, "--strict")
    assert result.exit_code == 1
    assert "2 lines, 1 break a rule" in result.output
    assert [row.get("note") for row in rows_of(output)] == [1, None]
    assert [v["kind"] for v in rows_of(output)[0]["violations"]] == ["foreign_text"]


def test_a_studios_own_domain_asks_for_its_corpus(tmp_path: Path) -> None:
    own = own_domain(tmp_path, banned_words=["술"])
    create_store(tmp_path / "prefs.db", str(own)).close()
    result = run("corrupt", "--store", tmp_path / "prefs.db")
    assert result.exit_code == 1
    assert "brings no corpus of its own; give --corpus" in result.output
    changed = load_domain(str(own))
    assert changed.name == DOMAIN.name
    assert corpus_of(None, DOMAIN) == default_corpus("weapon_rental")
    assert corpus_of(tmp_path / "own.jsonl", changed) == tmp_path / "own.jsonl"
    with pytest.raises(UserError, match="brings no corpus of its own"):
        corpus_of(None, changed)


def test_generate_hands_everything_on(monkeypatch: pytest.MonkeyPatch, store_path: Path) -> None:
    asked: dict[str, Any] = {}

    def sample(store: Any, **options: Any) -> int:
        asked.update(options, store=store.path)
        return 7

    fake = types.ModuleType("preference_data.generate")
    fake.run = sample
    monkeypatch.setitem(sys.modules, "preference_data.generate", fake)
    result = run("generate", "--store", store_path, "--model", "runs/sft", "--limit", 5, "--mistaken", "tone_break, length")
    assert result.exit_code == 0, result.output
    assert "7 new candidates, 72 in all" in result.output
    assert asked.pop("batch_size") >= 1
    assert {key: str(value) for key, value in asked.items()} == {
        "store": str(store_path),
        "model": "runs/sft",
        "server": "None",
        "corpus": "None",
        "samples": "2",
        "temperature": "1.0",
        "top_p": "1.0",
        "seed": "0",
        "max_new_tokens": "64",
        "limit": "5",
        "mistaken": "['tone_break', 'length']",
    }


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_help_has_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"npc-pref {command}" in result.output


def test_help_waits_for_no_check_and_no_library() -> None:
    code = (
        "import sys, preference_data.cli;"
        "sys.exit(bool({'npc_align.checks', 'npc_align.domain', 'sqlite3', 'kiwipiepy', 'textual'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_command_but_generate_needs_torch() -> None:
    code = (
        "import sys, preference_data.cli, preference_data.candidates, preference_data.pairing, preference_data.export;"
        "sys.exit(bool({'torch', 'transformers', 'kiwipiepy', 'textual', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
