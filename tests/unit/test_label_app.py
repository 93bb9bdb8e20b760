"""The full screen, driven by its keys and the mouse: what stands on it, and what is in the store afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from label_store import labelled_store
from rich.cells import cell_len
from textual import events
from textual.pilot import Pilot
from textual.widgets import TextArea

from preference_data.judgements import Judgement, Reason, current
from preference_data.label import picture
from preference_data.label.app import LabelApp, LabelScreen
from preference_data.label.session import Session
from preference_data.label.texts import Texts
from preference_data.store import NewCandidate, Store, content_id
from preference_data.tasks import add_tasks

Scene = Callable[[Pilot[None], Session], Awaitable[None]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = labelled_store(tmp_path, pairs=12, lines=3)
    yield made
    made.close()


def play(store: Store, scene: Scene, mode: str = "pair", language: str = "ko", size: tuple[int, int] = (80, 24)) -> None:
    """Opens the screen at this size and lets the scene act on it."""

    async def run() -> None:
        session = Session(store, "min", mode)
        app = LabelApp(session, Texts(language))
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            await scene(pilot, session)

    asyncio.run(run())


async def settle(pilot: Pilot[None]) -> None:
    """Lets every widget answer what it was sent, and what that made it send. `Pilot.press` waits for an idle machine instead."""
    for _ in range(4):
        await pilot.pause(0)


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        pilot.app.post_message(events.Key(key, {"space": " "}.get(key, key if len(key) == 1 else None)))
        await settle(pilot)


async def click(pilot: Pilot[None], target: str) -> None:
    region = pilot.app.screen.query_one(target).region
    for event in (events.MouseDown, events.MouseUp):
        x, y = region.offset
        pilot.app.post_message(event(None, x + 1, y, 0, 0, 1, False, False, False, x + 1, y))
        await settle(pilot)


async def until(pilot: Pilot[None], text: str) -> None:
    """Waits for a text: hints come from a thread."""
    for _ in range(200):
        if text in "\n".join(screen(pilot)):
            return
        await pilot.pause(0.05)
    raise AssertionError("\n".join(screen(pilot)))


def screen(pilot: Pilot[None]) -> list[str]:
    """The text of the screen, row by row."""
    return ["".join(segment.text for segment in strip) for strip in pilot.app.screen._compositor.render_strips()]


def said(store: Store) -> list[Judgement]:
    events = sorted(current(store).values(), key=lambda event: event.at)
    return [event.judgement for event in events if event.judgement is not None]


def status(pilot: Pilot[None]) -> str:
    return next(row for row in reversed(screen(pilot)[:-2]) if row.strip()).strip()


CHOICES = {
    "left": ("1", "left"),
    "right": ("2", "right"),
    "tie": ("0", "t", "ㅅ"),
    "both_bad": ("9", "b", "ㅠ"),
    "skip": ("space",),
}


def test_each_key_saves_its_choice(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        assert isinstance(pilot.app.screen, LabelScreen)
        assert f"0/{session.total} (0 %)" in screen(pilot)[0]
        for choice, keys in CHOICES.items():
            for key in keys:
                assert session.item is not None
                meant = dict(zip(("left", "right"), session.item.sides, strict=True)).get(choice, choice)
                await press(pilot, key)
                assert said(store)[-1].choice == meant
                assert status(pilot).startswith("✓ 저장됨")
        assert len(said(store)) == 11

    play(store, scene)


def test_undo_flag_and_quit_by_letter_and_jamo(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        await press(pilot, "backspace")
        assert status(pilot) == "되돌릴 판정이 없습니다."
        await press(pilot, "f", "1", "ㄹ", "2", "backspace", "backspace")
        assert said(store) == []
        assert "[표시함]" in "\n".join(screen(pilot))
        assert "되돌렸습니다. 방금까지의 판정: A가 낫다" in status(pilot)
        await press(pilot, "f", "1")
        assert [judgement.flag for judgement in said(store)] == [False]
        await press(pilot, "ㅂ")
        assert not pilot.app.is_running or pilot.app._exit

    play(store, scene)


def test_a_composed_syllable_is_no_command(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        for syllable in ("가", "슈", "뷁"):
            await press(pilot, syllable)
            assert status(pilot).startswith("한글이 입력되었습니다. 한/영 키")
            await press(pilot, "z")
            assert status(pilot).startswith("뜻이 없는 키입니다.")
        assert said(store) == []

    play(store, scene)


def test_nothing_is_called_saved_that_isnt(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise sqlite3.OperationalError("database or disk is full")

    async def scene(pilot: Pilot[None], session: Session) -> None:
        before = session.item
        with monkeypatch.context() as patch:
            patch.setattr("preference_data.label.session.judge", full)
            await press(pilot, "1")
        assert "저장하지 못했습니다: database or disk is full" in status(pilot)
        assert session.item == before
        await press(pilot, "1")
        assert status(pilot).startswith("✓ 저장됨")

    play(store, scene)
    assert len(said(store)) == 1


def test_editing_saves_a_better_line(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        assert session.item is not None
        second = session.item.lines[1]
        await press(pilot, "e", "2", "enter")
        assert "화면의 대사와 같습니다" in "\n".join(screen(pilot))
        await press(pilot, "고", "맙", "소", "escape")
        await press(pilot, "ㄷ", "2", "!", "enter")
        assert status(pilot) == "고친 대사를 저장했습니다. 이제 두 대사를 판정해 주세요 (1 2 0 9)."
        await press(pilot, "9")
        edited = said(store)[0].edited
        assert edited == content_id(second.prompt_id, f"{second.line}고맙소!")
        assert store.candidate(edited, "").origin == {"kind": "edited", "by": "min", "of": second.id}

    play(store, scene)


def test_what_an_edit_cannot_be_is_told_kindly(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        assert session.item is not None
        own = session.item.lines[0].line
        await press(pilot, "e", "1")
        area = pilot.app.screen.query_one(TextArea)
        for text, told in (
            ("   ", "빈 대사는 저장하지 않습니다."),
            (f"  {own.replace(' ', '   ')} ", "화면의 대사와 같습니다."),
            ("가" * 10_000, "대사가 너무 깁니다."),
        ):
            area.text = text
            await press(pilot, "enter")
            assert told in "\n".join(screen(pilot))
        assert store.count("candidate") == 30
        area.text = ""
        # What macOS puts on the clipboard: NFD, and here a zero-width space and an escape besides.
        pilot.app.post_message(events.Paste(unicodedata.normalize("NFD", "왔소?\u200b 활 하나\n보여 주시오.\x1b")))
        await settle(pilot)
        await press(pilot, "enter", "9")
        edited = said(store)[0].edited
        assert edited is not None
        assert store.candidate(edited, "").line == "왔소? 활 하나 보여 주시오."

    play(store, scene)


def test_an_input_methods_syllables_are_no_commands_however_they_come(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        # ㅂ (quit) and ㅏ come composed; some terminals hand the syllable over as a paste, macOS decomposed.
        await press(pilot, "바")
        assert "한/영 키" in status(pilot)
        for pasted in ("바", unicodedata.normalize("NFD", "가"), "1", "하하"):
            await press(pilot, "f", "f")
            pilot.app.post_message(events.Paste(pasted))
            await settle(pilot)
            assert ("한/영 키" in status(pilot)) == (pasted != "1"), pasted
        assert said(store) == []
        assert pilot.app.is_running

    play(store, scene)


def test_a_reason_with_a_marked_place_and_one_without(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        assert session.item is not None
        sides, lines = session.item.sides, session.item.lines
        await press(pilot, "r", "1", "down", "enter", "right", "shift+right", "shift+right", "enter")
        assert f"이유: A 말투 혼용 ‘{lines[0].line[1:3]}’" in "\n".join(screen(pilot))
        await press(pilot, "ㄱ", "2", "enter", "enter")
        await press(pilot, "r", "right", "enter", "escape", "r", "escape")
        assert len(session.draft.reasons) == 2
        await press(pilot, "r", "1", "end", "enter", "enter", "r", "1", "backspace")
        await press(pilot, "2")
        assert said(store)[0].reasons == (Reason(sides[0], "mixed_speech", 1, 3), Reason(sides[1], "tone_break"))

    play(store, scene)


def test_hints_come_only_when_asked_for_and_that_is_noted(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        assert "힌트:" not in "\n".join(screen(pilot))
        await press(pilot, "ㅗ")
        await until(pilot, "힌트:")
        await press(pilot, "h")
        assert "힌트:" not in "\n".join(screen(pilot))
        await press(pilot, "1")
        assert "힌트:" not in "\n".join(screen(pilot))
        await press(pilot, "1")
        assert [judgement.hints for judgement in said(store)] == [True, False]

    play(store, scene)


def test_guideline_and_help_open_and_close(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        await press(pilot, "g")
        await until(pilot, "판정 지침: 무기 대여점")
        await press(pilot, "ㅎ", "?")
        await until(pilot, "다시 볼 대사로 표시")
        await press(pilot, "?")
        store.set_meta("domain", "nowhere/domain.yaml")
        await press(pilot, "ㅎ")
        await until(pilot, "nowhere/guideline.md")
        await press(pilot, "escape", "1")
        assert len(said(store)) == 1

    play(store, scene)


def test_the_mouse_does_what_keys_do(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        chosen = []
        for target in ("#line-0", "#line-1", "#key-tie", "#key-both-bad", "#key-skip"):
            assert session.item is not None
            chosen.append({"first": session.item.sides[0] == "first", "second": session.item.sides[0] == "second"})
            await click(pilot, target)
        choices = [judgement.choice for judgement in said(store)]
        assert chosen[0][choices[0]]
        assert not chosen[1][choices[1]]
        assert choices[2:] == ["tie", "both_bad", "skip"]
        await click(pilot, "#key-flag")
        await click(pilot, "#key-undo")
        assert len(said(store)) == 4

    play(store, scene)


def test_ctrl_c_keeps_a_half_written_line(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        await press(pilot, "f", "e", "1", "아", "ctrl+c")

    play(store, scene)
    again = Session(store, "min", "pair")
    assert again.item is not None
    assert again.draft.flag
    assert again.text_to_edit(0) == f"{again.item.lines[0].line}아"


def test_single_lines(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        assert "이 대사는 어떤가요?" in screen(pilot)[0]
        await press(pilot, "1", "0")
        assert status(pilot).startswith("여기서는") or status(pilot).startswith("뜻이 없는")
        await press(pilot, "2", "e", "요", "enter")
        judgements = said(store)
        assert [judgement.choice for judgement in judgements] == ["good", "bad", "fix"]
        assert judgements[2].edited is not None
        assert store.candidate(judgements[2].edited, "").line.endswith("요")

    play(store, scene, mode="line")


def test_the_end_says_what_was_done_and_what_comes_next(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        while session.done + 1 < session.total:
            session.judge("tie")
        await press(pilot, "0")
        text = "\n".join(screen(pilot))
        assert "모두 마쳤습니다" in text
        assert f"이번에 {session.total}개, 모두 {session.total}개를 판정했습니다." in text
        for command in ("npc-pref merge", "npc-pref export", "--annotator min --mode line"):
            assert "".join(command.split()) in "".join(text.replace("│", "").split())
        await press(pilot, "1", "e", "r", "f", "h")
        assert "여기서는 쓰지 않는 키입니다." in "\n".join(screen(pilot))
        await press(pilot, "backspace")
        assert session.item is not None

    play(store, scene)


def test_english(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        assert screen(pilot)[0].startswith("Which line is better?")
        await press(pilot, "1")
        assert status(pilot).startswith("✓ saved")
        await press(pilot, "가")
        assert "That was Hangul" in status(pilot)

    play(store, scene, language="en")


LONG = ("그때 그 와이번 말이오? " * 7).strip() + "\n\x1b[31m끝."


@pytest.mark.parametrize(("size", "language"), [((80, 24), "ko"), ((140, 40), "en")])
def test_nothing_is_cut_off_and_borders_line_up(store: Store, size: tuple[int, int], language: str) -> None:
    attributes = store.domain.probes[0]
    ids = [content_id(store.prompt_id(attributes), line) for line in (LONG, "짧은 대사.")]
    store.add_candidates(NewCandidate(attributes, line, {"kind": "imported"}) for line in (LONG, "짧은 대사."))
    add_tasks(store, [(store.prompt_id(attributes), *ids, {})])
    store.db.execute("UPDATE task SET place = 0 WHERE first_id = ?", (ids[0],))

    async def scene(pilot: Pilot[None], session: Session) -> None:
        for _ in range(2):
            rows = screen(pilot)
            assert len(rows) == size[1]
            assert {cell_len(row) for row in rows} == {size[0]}
            for row in rows:
                assert (row[0] in "╭│╰") == (row[-1] in "╮│╯"), row
            flat = "".join("".join(rows).split())
            for command in ("left", "both_bad", "skip", "undo", "leave"):
                assert "".join(Texts(language)(f"key_{command}").split()) in flat
            for attribute in store.domain.attributes:
                assert (
                    f"{attribute.prompt_key.replace('_', '')}{attribute.labels[session.item.lines[0].attributes[attribute.key]]}"
                    in flat
                )
            box = pilot.app.screen.query_one("#line-0" if session.item.lines[0].line == LONG else "#line-1")
            assert box.max_scroll_y == 0
            await press(pilot, "f")
        assert "↵␛[31m끝." in flat

    play(store, scene, language=language, size=size)


def test_a_small_window_hides_no_key_and_grows_again(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        assert session.item is not None
        for width, height in ((60, 15), (40, 12), (80, 24)):
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            await settle(pilot)
            rows = screen(pilot)
            assert len(rows) == height
            assert {cell_len(row) for row in rows} == {width}
            flat = "".join("".join(rows).split())
            for command in ("left", "both_bad", "skip", "undo", "guideline", "leave"):
                assert "".join(Texts("ko")(f"key_{command}").split()) in flat
            assert ("창이작아(40x12)" in flat) == (width == 40)
            assert width == 40 or pilot.app.screen.query_one("#line-0").content_size.height > 2
            await press(pilot, "f", "r", "1")
            assert any("Esc 닫기" in row for row in screen(pilot))
            await press(pilot, "escape")

    play(store, scene)


def test_the_picture_in_the_documentation_is_made_by_the_program(tmp_path: Path, root: Path) -> None:
    picture.draw(tmp_path / "screen.svg")
    for drawn in (tmp_path / "screen.svg", root / "docs/labelling.svg"):
        text = drawn.read_text(encoding="utf-8").replace("&#160;", " ")
        assert text.startswith("<svg")
        assert "어느 대사가 나은가요?" in text
        assert "✓ 저장됨" in text


def test_keys_typed_ahead_choose_nothing_and_close_a_panel_once(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        for burst in (("e", "1"), ("r", "2", "9"), ("g", "g"), ("?", "1")):
            for key in burst:
                pilot.app.post_message(events.Key(key, key))
            await settle(pilot)
            await settle(pilot)
            assert said(store) == []
            assert len(pilot.app.screen_stack) == 2
            for _ in range(3):
                pilot.app.post_message(events.Key("escape", None))
            await settle(pilot)
            assert len(pilot.app.screen_stack) == 1
        await press(pilot, "1")
        assert len(said(store)) == 1

    play(store, scene)


def test_panels_show_the_line_that_they_ask_about(store: Store) -> None:
    async def scene(pilot: Pilot[None], session: Session) -> None:
        assert session.item is not None
        first, second = (line.line for line in session.item.lines)
        await press(pilot, "r")
        text = "\n".join(screen(pilot))
        assert f"1 A  {first}" in text
        assert f"2 B  {second}" in text
        await press(pilot, "2")
        rows = screen(pilot)
        assert any(second in row for row in rows)
        assert any("재방문 간격과 어긋남" in row for row in rows)
        assert any("Esc 닫기" in row for row in rows)

    play(store, scene)
