"""npc-pref: the way from an empty store to the file that DPO reads, through the real commands."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import types
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from own_domain import own_domain

from npc_align.checks import rules_hash
from npc_align.corpus import read_jsonl
from npc_align.domain import default_corpus, load_domain, shipped_file
from npc_align.errors import UserError
from npc_align.prompt import render
from npc_align.splits import load_splits
from preference_data.cli import main
from preference_data.judgements import Judgement, events, judge, undo_last
from preference_data.prompts import TrainingPrompt, corpus_of, held_out_prompts, training_prompts
from preference_data.store import NewCandidate
from preference_data.store_file import create_store, open_store
from preference_data.tasks import add_tasks, all_tasks

DOMAIN = load_domain("weapon_rental")


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def prompts() -> list[TrainingPrompt]:
    """Four prompts of each personality, so that balancing takes none away."""
    of_each: dict[Any, list[TrainingPrompt]] = defaultdict(list)
    for prompt in training_prompts(default_corpus("weapon_rental"), DOMAIN):
        of_each[DOMAIN.role(prompt.attributes, "personality")].append(prompt)
    return [prompt for own in of_each.values() for prompt in own[:4]]


def fill(path: Path, prompts: list[TrainingPrompt]) -> None:
    """What sampling leaves: of each prompt its corpus line, a sample that is good, and one with a foreign word or said twice."""
    store = create_store(path, "weapon_rental")
    for index, prompt in enumerate(prompts):
        line, text = prompt.examples[0].line, render(prompt.attributes, DOMAIN)
        bad = f"{line} really?" if index % 2 else f"{line} {line}"
        origin = {"kind": "sampled", "checkpoint": "sft", "decoding": {"do_sample": True}, "seed": 0}
        samples = [NewCandidate(prompt.attributes, said, origin, text, True, prompt.group) for said in (f"{line} 하하.", bad)]
        store.add_candidates([*prompt.corpus_lines(text), *samples])
    store.close()


@pytest.fixture
def store_path(tmp_path: Path, prompts: list[TrainingPrompt]) -> Path:
    fill(tmp_path / "prefs.db", prompts)
    return tmp_path / "prefs.db"


def paired(store_path: Path, *options: Any, chosen: str = "corpus") -> dict[str, Any]:
    assert run("check", "--store", store_path).exit_code == 0
    fixed = ("--store", store_path, "--chosen", chosen, "--kind-cap", 1, "--json")
    options = (*options, "--corrupted-share", 1) if chosen == "corpus" else options
    result = run("pair", *fixed, *options)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def exported(store_path: Path, *options: Any) -> list[dict[str, Any]]:
    output = store_path.with_name("preferences.jsonl")
    result = run("export", "--store", store_path, "--output", output, *options)
    assert result.exit_code == 0, result.output
    return [
        {key: json.loads(value) if key.endswith("_origin") else value for key, value in row.items()} for row in rows_of(output)
    ]


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


def test_a_line_that_was_cut_off_is_chosen_by_nobodys_word(store_path: Path, prompts: list[TrainingPrompt]) -> None:
    """As a chosen line it would teach to stop there."""
    prompt = prompts[0]
    with contextlib.closing(open_store(store_path)) as store:
        cut, other = "어서 오", "어서 오세요."
        store.add_candidates(
            [NewCandidate(prompt.attributes, line, {"kind": "imported"}, finished=line == other) for line in (cut, other)]
        )
        ids = [next(c.id for c in store.candidates(store.rules) if c.line == line) for line in (cut, other)]
        add_tasks(store, [(store.prompt_id(prompt.attributes), *ids, {})])
        (task,) = all_tasks(store)
        judge(store, task.id, "min", Judgement("first" if task.first_id == ids[0] else "second"))
    paired(store_path)
    assert cut not in {row["chosen"] for row in exported(store_path)}
    with contextlib.closing(open_store(store_path)) as store:
        add_tasks(store, [(store.prompt_id(prompt.attributes), ids[0], None, {})])
        judge(store, all_tasks(store, "mode = 'line'")[0].id, "min", Judgement("good"))
    paired(store_path)
    assert cut not in {row["chosen"] for row in exported(store_path)}
    manifest = json.loads((store_path.parent / "preferences.jsonl.manifest.json").read_text(encoding="utf-8"))
    assert manifest["left_out"]["chosen line was cut off"] == 1


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


def test_the_newest_model_comes_first_and_the_mix_is_told_per_model(store_path: Path, prompts: list[TrainingPrompt]) -> None:
    """Round two: another model's samples come into the same store; one of them says again what the first one said."""
    assert paired(store_path, "--per-prompt", 1)["models"] == {"sft": 24}
    judged = None
    with contextlib.closing(open_store(store_path)) as store:
        judged = all_tasks(store)[0]
        judge(store, judged.id, "min", Judgement("first"))
        origin = {"kind": "sampled", "checkpoint": "dpo", "seed": 0}
        again = next(c for c in store.candidates(store.rules) if c.violations and c.origin["kind"] == "sampled")
        new = [NewCandidate(p.attributes, f"{p.examples[0].line} great!", origin, None, True, p.group) for p in prompts[:16]]
        store.add_candidates([*new, NewCandidate(again.attributes, again.line, origin)])
    report = paired(store_path, "--per-prompt", 1)
    assert report["models"]["dpo"] >= 16
    assert report["models"]["dpo"] == report["origins"]["on policy"]
    assert report["models"]["sft"] == report["origins"]["earlier models"] == report["pairs"] - report["models"]["dpo"] > 0
    with contextlib.closing(open_store(store_path)) as store:
        kept = {task.id for task in all_tasks(store, "NOT retired")}
        assert judged.id in kept, "what somebody judged stays"
        assert len(kept) in (report["pairs"], report["pairs"] + 1)
        for task in all_tasks(store, "NOT retired"):
            sides = {store.candidate(str(side), store.rules).prompt_id for side in (task.first_id, task.second_id)}
            assert len(sides) == 1


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


def test_prompts_that_evaluation_keeps_to_itself_give_no_pairs(tmp_path: Path) -> None:
    """Lines can be imported for any prompt; those of validation, test and the test prompts must not train."""
    splits = load_splits(default_corpus("weapon_rental"), DOMAIN)
    (_, test_prompt), *_ = read_jsonl(shipped_file("weapon_rental", "test_prompts.jsonl"))
    new = next(
        a for a in DOMAIN.draw(1, 7, held_out_prompts(None, DOMAIN) | {DOMAIN.combination(e.attributes) for e in splits["train"]})
    )
    aside = [splits["validation"][0].attributes, splits["test"][0].attributes, test_prompt["attributes"]]
    store = create_store(tmp_path / "prefs.db", "weapon_rental")
    for attributes in [*aside, new]:
        written = NewCandidate(attributes, "흠, 흠. 여기 있었네, 이 사람아.", {"kind": "edited", "by": "min"})
        store.add_candidates([written, NewCandidate(attributes, "흠, 흠. 여기 is 있었네, 이 사람아 정말.", {"kind": "imported"})])
    task = [(c.prompt_id, c.id, None, {}) for c in store.candidates(store.rules) if c.origin["kind"] == "edited"]
    add_tasks(store, task)
    for shown in all_tasks(store):
        judge(store, shown.id, "min", Judgement("good"))
    store.close()
    assert paired(tmp_path / "prefs.db")["pairs"] == 1
    assert [row["attributes"] for row in exported(tmp_path / "prefs.db")] == [new]


def test_pairing_twice_gives_the_same_file(store_path: Path) -> None:
    paired(store_path, "--seed", 3, "--per-prompt", 1)
    first = exported(store_path)
    paired(store_path, "--seed", 3, "--per-prompt", 1)
    assert exported(store_path) == first


def test_a_sample_that_a_person_approved_may_be_chosen(store_path: Path) -> None:
    run("check", "--store", store_path)
    store = open_store(store_path)
    sample = next(c for c in store.candidates(store.rules) if c.line.endswith("하하.") and not c.violations)
    corpus_line = next(
        c for c in store.candidates(store.rules) if c.prompt_id == sample.prompt_id and c.origin["kind"] == "corpus"
    )
    add_tasks(store, [(sample.prompt_id, sample.id, None, {}), (sample.prompt_id, corpus_line.id, None, {})])
    approved, turned_down = all_tasks(store, "mode = 'line'")
    judge(store, approved.id, "min", Judgement("good"))
    judge(store, turned_down.id, "min", Judgement("bad"))
    store.close()
    paired(store_path)
    chosen = {DOMAIN.combination(row["attributes"]): row["chosen"] for row in exported(store_path)}
    assert chosen[DOMAIN.combination(sample.attributes)] == sample.line.strip()


def test_chosen_is_what_the_newest_model_draws_itself(store_path: Path, prompts: list[TrainingPrompt]) -> None:
    """Of the prompts only the first has a line that may be chosen, and that one no longer when somebody calls it bad."""
    draw, greedy = {"do_sample": True, "temperature": 1.0}, {"do_sample": False}
    said = (
        ("dpo", draw, " 헤헤."),
        ("dpo", greedy, " 하하하."),  # what default decoding says grows likelier everywhere
        ("sft", draw, " 하하하하."),  # an earlier model's
        ("dpo", draw, " really!"),  # clean but for a kind held out
        ("dpo", draw, ""),  # the corpus line, known by heart
    )
    with contextlib.closing(open_store(store_path)) as store:
        for prompt, (model, decoding, more) in zip(prompts, said, strict=False):
            line = prompt.examples[0].line
            origin = {"kind": "sampled", "checkpoint": model, "decoding": decoding}
            store.add_candidates([NewCandidate(prompt.attributes, line + more, origin, None, True, prompt.group)])
            newest = {"kind": "sampled", "checkpoint": "dpo", "decoding": draw}
            store.add_candidates([NewCandidate(prompt.attributes, f"{line} {line}", newest, None, True, prompt.group)])
    own = ("--hold-out", "foreign_text", "--per-prompt", 9)
    paired(store_path, *own, chosen="sampled")
    rows = exported(store_path)
    assert {(DOMAIN.combination(row["attributes"]), row["chosen"]) for row in rows} == {
        (DOMAIN.combination(prompts[0].attributes), f"{prompts[0].examples[0].line} 헤헤.")
    }
    assert {row["chosen_origin"]["checkpoint"] for row in rows} == {"dpo"}
    with contextlib.closing(open_store(store_path)) as store:
        lines = {row["chosen"] for row in rows}
        add_tasks(store, [(c.prompt_id, c.id, None, {}) for c in store.candidates(store.rules) if c.line in lines])
        for task in all_tasks(store, "mode = 'line'"):
            judge(store, task.id, "min", Judgement("bad"))
    result = run("pair", "--store", store_path, *own)
    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert "That is dpo; of its 9 lines none is for a training prompt, without a mistake, and not called bad by a person" in told
    assert f"npc-pref generate --store {store_path} --model dpo --samples 8 --seed 1" in told


def test_the_models_own_pairs_are_what_dpo_reads(store_path: Path, prompts: list[TrainingPrompt]) -> None:
    pytest.importorskip("datasets", reason="the extra [train] is missing: dpo/pairs.py was NOT asked to read the export")
    from dpo.pairs import read_pairs

    assert paired(store_path, chosen="sampled")["chosen_origins"] == {"on policy": 24}
    rows = exported(store_path)
    read = read_pairs(store_path.with_name("preferences.jsonl"), DOMAIN, "user_assistant", None)
    assert [(p.prompt, p.chosen, p.rejected) for p in read] == [(r["prompt"], r["chosen"], r["rejected"]) for r in rows]
    assert {p.chosen for p in read} == {f"{prompt.examples[0].line} 하하." for prompt in prompts}


def test_a_draw_that_was_cut_off_is_not_chosen_even_where_a_game_does_not_mind(
    tmp_path: Path, prompts: list[TrainingPrompt]
) -> None:
    path, origin = tmp_path / "own.db", {"kind": "sampled", "checkpoint": "sft", "decoding": {"do_sample": True}, "seed": 0}
    with contextlib.closing(create_store(path, str(own_domain(tmp_path, ignored_kinds=["truncated"])))) as store:
        for prompt in prompts:
            line = prompt.examples[0].line
            said = [(f"{line} 헤헤.", False), (f"{line} really?", True)]
            store.add_candidates([NewCandidate(prompt.attributes, text, origin, finished=ended) for text, ended in said])
    assert "24 break a rule" in run("check", "--store", path).output
    result = run("pair", "--store", path, "--corpus", default_corpus("weapon_rental"))
    assert result.exit_code == 1
    assert "no line may be chosen" in result.output


def test_a_served_models_name_becomes_a_command_that_can_be_run(tmp_path: Path, prompts: list[TrainingPrompt]) -> None:
    path, origin = tmp_path / "served.db", {"kind": "sampled", "checkpoint": "npc at http://localhost:8000/v1", "seed": 0}
    with contextlib.closing(create_store(path, "weapon_rental")) as store:
        store.add_candidates([NewCandidate(prompts[0].attributes, "really?", origin)])
    run("check", "--store", path)
    told = " ".join(run("pair", "--store", path).output.split())
    assert f"npc-pref generate --store {path} --server http://localhost:8000/v1 --model npc --samples 8" in told


def test_a_corruption_is_set_against_no_line_of_the_models_own(store_path: Path, prompts: list[TrainingPrompt]) -> None:
    """It is a corpus line but for its mistake: the pair would teach whose voice is right."""
    assert run("corrupt", "--store", store_path, "--kind", "repetition").exit_code == 0
    origin = {"kind": "sampled", "checkpoint": "sft", "decoding": {"do_sample": True}, "seed": 0}
    with contextlib.closing(open_store(store_path)) as store:
        for prompt in prompts:
            store.add_candidates([NewCandidate(prompt.attributes, f"{prompt.examples[0].line} 헤헤.", origin)])
    assert paired(store_path)["origins"].keys() == {"on policy", "corrupted"}
    report = paired(store_path, chosen="sampled")
    assert report["origins"].keys() == report["chosen_origins"].keys() == {"on policy"}


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
