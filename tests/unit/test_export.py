"""From what people said in the labelling program to the files that TRL trains on, single lines included."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from label_store import DOMAIN, labelled_store
from opinions import say_all, store_with

from npc_align.errors import UserError
from npc_align.prompt import render
from preference_data.export import export
from preference_data.judgements import Judgement, Reason, judge
from preference_data.label.session import Session
from preference_data.store import NewCandidate, Store
from preference_data.tasks import all_tasks


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = labelled_store(tmp_path, pairs=6, lines=6)
    yield made
    made.close()


def rows(store: Store, form: str, **options: Any) -> list[dict[str, Any]]:
    output = store.path.with_name(f"{form}.jsonl")
    export(store, output, form, **options)
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def sitting(store: Store, mode: str, *acts: Callable[[Session], object]) -> list[str]:
    """Carries out one act per item and returns the left (or single) line of each."""
    session, seen = Session(store, "min", mode), []
    for act in acts:
        assert session.item is not None
        seen.append(session.item.lines[0].line)
        act(session)
    return seen


def mended(session: Session) -> None:
    session.edit(0, "제가 고친 말입니다.")
    session.judge("fix")


def say(choice: str) -> Callable[[Session], object]:
    return lambda session: session.judge(choice)


def test_lines_judged_one_by_one_reach_kto_and_sft_and_a_mended_one_dpo(store: Store) -> None:
    good, bad, old, _ = sitting(store, "line", say("good"), say("bad"), mended, say("skip"))
    labels = {row["completion"]: row["label"] for row in rows(store, "kto")}
    assert labels == {good: True, bad: False, old: False, "제가 고친 말입니다.": True}
    assert {row["completion"] for row in rows(store, "sft")} == {good, "제가 고친 말입니다."}
    (pair,) = rows(store, "dpo")
    assert (pair["chosen"], pair["rejected"], pair["judge"]) == ("제가 고친 말입니다.", old, "person")
    prompts = {render(attributes, DOMAIN) for attributes in DOMAIN.probes}
    assert {row["prompt"] for form in ("kto", "sft", "dpo") for row in rows(store, form)} <= prompts


def test_the_manifest_counts_what_is_in_the_file(store: Store) -> None:
    sitting(store, "line", say("good"), say("bad"), mended, say("skip"))
    output = store.path.with_name("kto.jsonl")
    manifest = export(store, output, "kto", judged_only=True)
    assert json.loads(output.with_name("kto.jsonl.manifest.json").read_text(encoding="utf-8")) == manifest
    assert (manifest["rows"], manifest["pairs"]) == (4, 1)
    assert manifest["lines"] == {"good": 1, "bad": 1}
    assert manifest["labels"] == {"true": 2, "false": 2}
    assert manifest["left_out"]["skip"] == 1
    assert manifest["judges"] == {"person": 3}
    assert manifest["annotators"] == {"min": 3}
    assert manifest["output"]["sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    sheet = output.with_name("kto.jsonl.datasheet.md").read_text(encoding="utf-8")
    assert "4 rows from 1 pairs and 2 lines judged by themselves (good 1, bad 1)" in sheet
    assert manifest["output"]["sha256"] in sheet


def test_a_copy_of_a_corpus_line_is_told_from_the_lines_written(store: Store) -> None:
    task, other, *_ = all_tasks(store, "mode = 'line'")
    copy, written = {"kind": "corpus", "id": "c:1*", "augmented_from": "g1"}, {"kind": "corpus", "id": "c:2"}
    for said, origin in ((task, copy), (other, written)):
        of = store.candidate(said.first_id, "")
        store.add_candidates([NewCandidate(of.attributes, of.line, origin)])
        judge(store, said.id, "min", Judgement("good"))
    manifest = export(store, store.path.with_name("sft.jsonl"), "sft")
    assert manifest["chosen_origins"] == {"augmented": 1, "corpus": 1}
    sheet = store.path.with_name("sft.jsonl.datasheet.md").read_text(encoding="utf-8")
    assert "Chosen or good: augmented 1, corpus 1." in sheet


def test_the_manifest_tells_how_far_annotators_agree(tmp_path: Path) -> None:
    store = store_with(tmp_path / "prefs.db", pairs=20)
    say_all(store, [{"mina": "first", "junho": "second" if number < 5 else "first"} for number in range(20)])
    manifest = export(store, tmp_path / "p.jsonl")
    assert manifest["agreement"]["pair"]["raw"]["value"] == 0.75
    assert manifest["agreement"]["pair"]["alpha"]["n"] == 20
    assert manifest["left_out"] == {"disputed": 5}
    assert "raw agreement 0.75 (n=20)" in (tmp_path / "p.jsonl.datasheet.md").read_text(encoding="utf-8")
    store.close()


def test_two_bad_lines_and_a_line_written_beside_a_tie_count_as_lines(store: Store) -> None:
    def wrote(session: Session) -> None:
        session.edit(0, "비긴 자리에 쓴 말입니다.")
        session.judge("tie")

    session = Session(store, "min", "pair")
    assert session.item is not None
    both = {line.line for line in session.item.lines}
    sitting(store, "pair", say("both_bad"), wrote)
    labels = {row["completion"]: row["label"] for row in rows(store, "kto")}
    assert labels == {**dict.fromkeys(both, False), "비긴 자리에 쓴 말입니다.": True}
    assert [row["completion"] for row in rows(store, "sft")] == ["비긴 자리에 쓴 말입니다."]


def test_a_line_that_people_dispute_or_that_breaks_a_rule_held_out_stays_out(store: Store) -> None:
    disputed, held_out, fine, *_ = all_tasks(store, "mode = 'line'")
    judge(store, disputed.id, "min", Judgement("good"))
    judge(store, disputed.id, "lee", Judgement("bad"))
    judge(store, held_out.id, "min", Judgement("bad", reasons=(Reason("first", "josa_error"),)))
    judge(store, fine.id, "min", Judgement("bad", reasons=(Reason("first", "length"),)))
    store.set_meta("pairing_hold_out", '["josa_error"]')
    (row,) = rows(store, "kto")
    assert (row["completion"], row["label"]) == (store.candidate(fine.first_id, "").line, False)


def test_a_tag_is_a_reason_only_of_the_line_it_was_given_to(store: Store) -> None:
    task, other, *_ = all_tasks(store, "mode = 'pair'")
    tags = (Reason("first", "length"), Reason("second", "repetition"))
    judge(store, task.id, "min", Judgement("first", reasons=tags))
    judge(store, other.id, "min", Judgement("second", reasons=tags))
    assert [row["reasons"] for row in rows(store, "dpo")] == [["repetition"], ["length"]]


def test_without_pairs_the_message_names_the_formats_that_need_none(store: Store) -> None:
    sitting(store, "line", say("good"))
    with pytest.raises(UserError, match="choose --format csv or kto or sft"):
        export(store, store.path.with_name("p.jsonl"))
    assert not store.path.with_name("p.jsonl").exists()


def test_judgements_reach_every_format_of_a_table_too(store: Store) -> None:
    sitting(store, "line", say("good"), say("bad"))
    sitting(store, "pair", say("left"))
    manifest = export(store, store.path.with_name("p.csv"), "csv")
    assert (manifest["rows"], manifest["pairs"], manifest["lines"]) == (3, 1, {"good": 1, "bad": 1})
