"""A labelling session without a screen: what is said is stored, and can be taken back for good and all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from label_store import labelled_store

from npc_align.violation import KIND_NAMES, KINDS
from preference_data import tasks
from preference_data.judgements import Event, Judgement, Reason, current
from preference_data.label.guideline import guideline_path
from preference_data.label.items import Refused
from preference_data.label.keys import command, composed_hangul
from preference_data.label.queue import own_queue
from preference_data.label.session import Session
from preference_data.label.texts import MESSAGES
from preference_data.store import Store
from preference_data.tasks import first_is_left


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = labelled_store(tmp_path, pairs=12, lines=4)
    yield made
    made.close()


def said(store: Store) -> list[Judgement]:
    """The judgements that stand, in the order of their making."""
    events: list[Event] = sorted(current(store).values(), key=lambda event: event.at)
    return [event.judgement for event in events if event.judgement is not None]


def test_the_choice_is_stored_by_the_tasks_own_sides(store: Store) -> None:
    session = Session(store, "min", "pair")
    for _ in range(12):
        item = session.item
        assert item is not None
        left_is_first = first_is_left(item.shown, "min")
        assert item.lines[0].id == (item.shown.task.first_id if left_is_first else item.shown.task.second_id)
        session.judge("left")
        last = said(store)[-1]
        assert (last.choice, last.shown) == (("first", "first-left") if left_is_first else ("second", "second-left"))
    assert {judgement.choice for judgement in said(store)} == {"first", "second"}


def test_every_other_choice(store: Store) -> None:
    session = Session(store, "min", "pair")
    for choice in ("tie", "both_bad", "skip"):
        session.judge(choice)
    with pytest.raises(Refused, match="other_mode"):
        session.judge("good")
    single = Session(store, "min", "line")
    for choice in ("good", "bad", "skip"):
        single.judge(choice)
    with pytest.raises(Refused, match="not_edited"):
        single.judge("fix")
    assert [judgement.choice for judgement in said(store)] == ["tie", "both_bad", "skip", "good", "bad", "skip"]


def test_the_queue_is_the_stores_own_and_ends(store: Store) -> None:
    for mode in ("pair", "line"):
        lean, full = own_queue(store, "min", mode), tasks.queue(store, "min", mode)
        assert lean == [(s.task.id, s.round) for s in full]
    session = Session(store, "min", "pair")
    while session.item is not None:
        session.judge("tie")
    assert session.done == session.total == len(tasks.queue(store, "min", "pair"))
    assert tasks.open_tasks(store, "min", "pair") == []
    session.undo()
    assert session.item is not None
    assert session.done == session.total - 1


def test_a_person_without_an_assignment_gets_nothing(store: Store) -> None:
    store.db.execute("INSERT INTO assignment SELECT id, 'lee', 1, 1 FROM task WHERE mode = 'pair' LIMIT 3")
    assert Session(store, "min", "pair").item is None
    assert Session(store, "lee", "pair").total == 3


def test_undo_goes_back_without_limit_across_sittings_and_modes(store: Store) -> None:
    session = Session(store, "min", "pair")
    first = session.item
    assert first is not None
    session.add_reason(0, "tone_break", (0, 3))
    session.toggle_flag()
    better = session.edit(1, "  더 나은  대사입니다. ")
    session.judge("right")
    session.judge("tie")
    Session(store, "min", "line").judge("bad")

    again = Session(store, "min", "pair")
    modes = []
    for _ in range(3):
        again.undo()
        assert again.item is not None
        modes.append((again.item.mode, again.draft.taken_back))
    assert modes == [("line", "bad"), ("pair", "tie"), ("pair", "right")]
    assert again.item == first
    assert (again.draft.flag, again.draft.edited, again.draft.written) == (True, better, "더 나은 대사입니다.")
    assert again.draft.reasons == (Reason(first.sides[0], "tone_break", 0, 3),)
    assert again.text_to_edit(1) == "더 나은 대사입니다."
    assert again.text_to_edit(0) == first.lines[0].line
    with pytest.raises(Refused, match="nothing_to_undo"):
        again.undo()
    assert said(store) == []
    again.judge("left")
    assert (again.item is not None, said(store)[0].edited) == (True, better)


def test_an_edit_becomes_a_new_line_of_the_same_prompt(store: Store) -> None:
    session = Session(store, "min", "pair")
    item = session.item
    assert item is not None
    for text, why in (("  ", "empty_edit"), (item.lines[1].line, "unchanged_edit")):
        with pytest.raises(Refused, match=why):
            session.edit(0, text)
    before = store.count("candidate")
    new = store.candidate(session.edit(0, "고친 대사입니다."), "")
    assert store.count("candidate") == before + 1
    assert new.origin == {"kind": "edited", "by": "min", "of": item.lines[0].id}
    assert (new.line, new.attributes, new.prompt_id) == ("고친 대사입니다.", item.lines[0].attributes, item.lines[0].prompt_id)
    session.judge("both_bad")
    assert said(store)[0].edited == new.id


def test_what_is_not_judged_yet_survives_the_end_of_the_program(store: Store) -> None:
    session = Session(store, "min", "pair")
    session.toggle_flag()
    session.saw_hints()
    session.add_reason(1, "josa_error")
    session.leave_unfinished(0, "쓰다 만 대사")
    again = Session(store, "min", "pair")
    assert again.draft == session.draft
    assert again.text_to_edit(0) == "쓰다 만 대사"
    again.drop_reason()
    again.judge("left")
    assert (said(store)[0].flag, said(store)[0].hints, said(store)[0].reasons) == (True, True, ())
    assert Session(store, "min", "pair")._drafts == {}
    assert Session(store, "lee", "pair").draft.flag is False


def test_pace_is_the_median_and_a_limit_ends_the_sitting(store: Store) -> None:
    ticks = iter([0.0, 4.0, 4.0, 4.0, 10.0, 10.0, 10.0, 910.0, 910.0, 910.0])
    session = Session(store, "min", "pair", limit=3, clock=lambda: next(ticks))
    assert session.pace is None
    for _ in range(3):
        session.judge("left")
    assert session.pace == 6.0
    assert [judgement.seconds for judgement in said(store)] == [4.0, 6.0, 900.0]
    assert (session.item, session.limit_reached, session.seconds_left) == (None, True, 0.0)


def test_keys_by_letter_jamo_and_width() -> None:
    jamo = {"t": "ㅅ", "b": "ㅠ", "e": "ㄷ", "r": "ㄱ", "f": "ㄹ", "g": "ㅎ", "q": "ㅂ", "h": "ㅗ"}
    meant = {"t": "tie", "b": "both_bad", "e": "edit", "r": "reason", "f": "flag", "g": "guideline", "q": "leave", "h": "hints"}
    for letter, key in jamo.items():
        assert {command(k, "pair") for k in (letter, letter.upper(), key)} == {meant[letter]}
    assert command("\u1109", "pair") == "tie"  # the conjoining form that some terminals send
    assert (command("１", "pair"), command("left", "line"), command("0", "line")) == ("left", "good", None)
    assert [composed_hangul(key) for key in ("가", "슈", "ㅅ", "t", "left")] == [True, True, False, False, False]


def test_both_languages_say_the_same_things() -> None:
    assert MESSAGES["ko"].keys() == MESSAGES["en"].keys()
    for name, text in MESSAGES["ko"].items():
        fields = [{part.split("}")[0] for part in message.split("{")[1:]} for message in (text, MESSAGES["en"][name])]
        assert fields[0] == fields[1], name
    assert set(KIND_NAMES["ko"]) == set(KIND_NAMES["en"]) == set(KINDS)


def test_the_guideline_lies_beside_the_domain(tmp_path: Path) -> None:
    assert guideline_path(str(tmp_path / "my" / "domain.yaml")) == tmp_path / "my" / "guideline.md"
    assert guideline_path(str(tmp_path)) == tmp_path / "guideline.md"
    shipped = guideline_path("weapon_rental").read_text(encoding="utf-8")
    assert 60 <= len(shipped.splitlines()) <= 100
    assert all(KIND_NAMES["ko"][kind].split(" (")[0] in shipped for kind in KINDS)
