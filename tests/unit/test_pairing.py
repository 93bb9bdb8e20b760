"""Which lines may stand on which side of a pair, through the real commands."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from own_domain import own_domain
from pref_store import DOMAIN, exported, fill, paired, run, some_prompts

from npc_align.corpus import read_jsonl
from npc_align.domain import default_corpus, shipped_file
from npc_align.splits import load_splits
from preference_data.judgements import Judgement, judge
from preference_data.prompts import TrainingPrompt, held_out_prompts
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
