"""Speech levels from sentence-final endings: a table of hard cases, robustness, and 800 lines labelled by people."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc_align.korean.speech_level import compose, fragments_only, politeness, sentences, tokens

IWSLT = Path(__file__).parents[3] / "shared" / "data" / "speech_level" / "iwslt23_train.jsonl"

LEVELS = {
    "하십시오체": [
        "고맙습니다.",
        "또 왔습니다…",
        "한번 보여 주시겠습니까?",
        "어서 오십시오, 사장님!",
        "어서 오십시오 사장님",
        "다들 배가 아파서 줄을 섰답니다~",
        "초면입니다만.",
        "감사합니당ㅋㅋ",
        "베었사옵니다.",
        "빌려 주십사 왔습니다.",
        "하나만 빌립시다!",
    ],
    "해요체": [
        "좋아요~",
        "왔는데요.",
        "다 나갔거든요.",
        "못 추더라고요…",
        "그랬습죠 뭐.",
        "일은 끝냈지요.",
        "얼마나 좋았을까요?",
        "안녕하세요!",
        "칼이요!",
        "그래서요.",
        "한 자루로요.",
        "했어용~",
        "갈게용!",
        "많이 컸네요ㅎㅎ",
        "줘요, 빨리.",
        "괜찮아요, 그 칼.",
        "제법이군요!?",
        "스승님이 '가라!' 하셨어요.",
        "쓸 만하다고 해서 왔어요.",
    ],
    "하오체": ["살았소, 주인장.", "이리 주시오.", "고맙구려.", "내가 이겼단 말이오!", "왔소이다.", "갚으리다."],
    "하게체": [
        "한 자루 주게.",
        "어서 가세.",
        "어디 있나?",
        "잘 있었는가?",
        "좋구먼.",
        "사절일세.",
        "어디 보세나.",
        "가죽도 뚫나, 저 칼?",
    ],
    "해체": [
        "줘, 빨리.",
        "얼른 내놔!",
        "좀 무겁던데.",
        "날이 다 나갔거든.",
        "일은 됐고.",
        "시위가 끊겼으니까.",
        "곰 잡으려고.",
        "좋더군, 그 칼.",
        "살았네.",
        "그 정도면 됐지, 뭐.",
        "단칼 탓 아냐.",
        "갈게.",
        "내가 잡았다고!",
        "활짝 웃더라니까.",
        "사장님께서 주신 게 좋았어.",
    ],
    "해라체": [
        "스승님께서 오셨다.",
        "이거 받아라.",
        "뭐 하냐?",
        "가자.",
        "만만하구나.",
        "고맙다옹",
        "가죽 벗어 주마.",
        "쓸 만하더라, 귀찮게.",
        "밥은 먹었니?",
    ],
    None: [
        "사장님!",
        "어이, 주인!",
        "크흠.",
        "하하하!",
        "칼 하나.",
        "그 늪, 어제.",
        "“살려 줘!” 그 한마디.",
        "늪에 빠짐.",
        "찾아뵈려 했는데…",
        "칼을 잡고,",
        "저기요!",
        "",
    ],
}
SIDES = [
    ("구멍 뚫었어! 정말 완벽했어요!", "혼용"),
    ("구멍 뚫었어, 정말 완벽했어요!", "혼용"),
    ("구멍 뚫었어 정말 완벽했어요", "혼용"),
    ("고마워. 또 오겠습니다.", "혼용"),
    ("사장님! 크흠. 왔습니다. 칼 하나요.", "존댓말"),
    ("'살려 줘!' 하길래 도망쳤습니다.", "존댓말"),
    ("살려 줘! 하길래 도망쳤습니다.", "존댓말"),
    ("같이 갈래? 이랬어요.", "존댓말"),
    ("‘어서 오세요’라니, 징그럽다.", "반말"),
    ("스승님께서 보시더니 웃으시더라. 고얀 영감.", "반말"),
    ("고맙네. 자네 덕일세.", "반말"),
    ("가자! 어서 갑시다.", "반말"),
    ("재미있네요. 늘 궁금했는데. 써 볼게요.", "존댓말"),
    ("칼 하나.", "판단불가"),
    ("", "판단불가"),
]


@pytest.mark.parametrize(("level", "line"), [(level, line) for level, lines in LEVELS.items() for line in lines])
def test_level_of_one_sentence(level: str | None, line: str) -> None:
    found = [s.level for s in sentences(line) if s.level is not None]
    assert found == ([level] if level else [])


@pytest.mark.parametrize(("line", "side"), SIDES)
def test_politeness(line: str, side: str) -> None:
    assert politeness(line) == side


def test_spans_hold_the_sentences() -> None:
    line = " 왔습니다!  3.5냥이에요… 좋더군, 그 칼. "
    assert [line[s.start : s.end] for s in sentences(line)] == ["왔습니다!", "3.5냥이에요…", "좋더군, 그 칼."]
    assert [s.text for s in sentences(line)] == [line[s.start : s.end] for s in sentences(line)]


def test_decomposed_text_is_read_as_composed_and_keeps_its_offsets() -> None:
    composed = "처음 뵙겠습니다. 좋아!"
    line = unicodedata.normalize("NFD", composed)
    found = sentences(line)
    assert [s.level for s in found] == ["하십시오체", "해체"]
    assert [unicodedata.normalize("NFC", line[s.start : s.end]) for s in found] == ["처음 뵙겠습니다.", "좋아!"]


@pytest.mark.parametrize("line", ["사장님! 칼 하나.", "크흠, 활 하나.", "그 늪, 대박!"])
def test_bare_fragments(line: str) -> None:
    assert fragments_only(line)


@pytest.mark.parametrize("line", ["칼 하나요.", "줘, 칼.", "'칼 하나.'라니", "가마.", "갔다 왔음.", "?!", ""])
def test_no_bare_fragments_where_in_doubt(line: str) -> None:
    assert not fragments_only(line)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="가나다요까. ,…~!?'\"“”검을줘\u1100\u1161\u11a8\ud800\U0001f600", max_size=60))
def test_any_text_has_sentences_inside_it(line: str) -> None:
    found = sentences(line)
    assert all(0 <= s.start < s.end <= len(line) for s in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert sentences(line) == found


@given(st.text(max_size=40))
def test_composition_is_nfc_with_a_way_back(line: str) -> None:
    composed = compose(line)
    assert composed.text == unicodedata.normalize("NFC", line)
    assert len(composed.starts) == len(composed.ends) == len(composed.text)


def test_offsets_are_code_points() -> None:
    assert [(t.form, t.start, t.end) for t in tokens("😀집")][-1] == ("집", 1, 2)


def test_800_labelled_lines() -> None:
    if not IWSLT.is_file():
        pytest.skip(f"the IWSLT formality data isn't there ({IWSLT}): nothing measures the speech levels against people's labels")
    rows = [json.loads(row) for row in IWSLT.read_text(encoding="utf-8").splitlines()]
    verdicts = Counter((row["politeness"], politeness(row["text"])) for row in rows)
    right = sum(count for (label, verdict), count in verdicts.items() if label == verdict)
    mixed = sum(count for (_, verdict), count in verdicts.items() if verdict == "혼용")
    assert len(rows) == 800
    assert right / len(rows) >= 0.97, verdicts
    assert mixed / len(rows) < 0.015, verdicts
