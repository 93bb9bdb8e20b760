"""check_line: hard negatives and positives of every kind, robustness, and what the package promises to its callers."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc_align.checks import CHECKS, KINDS, check_line, rules_hash
from npc_align.domain import load_domain

DOMAIN = load_domain("weapon_rental")


def record(personality: str | None = None, adventurer: str = "전사", previous: str = "도끼") -> dict[str, Any]:
    """A record of a returning 전사 with a 도끼, or of a first visit where `previous` is 없음."""
    first = previous == "없음"
    attributes = {
        "모험가타입": adventurer,
        "방문횟수": "첫방문" if first else "보통",
        "이전_아이템": previous,
        "재방문간격": "없음" if first else "보통",
        "최근_의뢰": "첫방문" if first else "성공",
    }
    return {**attributes, "성격": personality} if personality else attributes


def kinds(line: str, attributes: dict[str, Any] | None = None, finished: bool = True) -> list[str]:
    return sorted({v.kind for v in check_line(line, attributes or {}, DOMAIN, finished=finished)})


SPEECH = [
    ("존칭형", "또 뵙습니다. 덕분에 무사히 마쳤어요.", []),
    ("평범형", "사장님! 크흠, 저 왔어요. 하하하!", []),
    ("평범형", "'살려 줘!' 하길래 도망쳤어요.", []),
    ("너스레형", "사장님께서 웃으시니 저도 살맛이 납니다~", []),
    ("하대형", "사장님께서 직접 나오셨군. 앉게, 이야기 좀 하세.", []),
    ("야성형", "좋더군, 그 도끼. 피가 끓는다! 더 줘!", []),
    ("단답형", "도끼. 또.", []),
    ("존칭형", "도끼 줘.", ["tone_break"]),
    ("평범형", "활짝 웃었다. 좋군.", ["tone_break"]),
    ("하대형", "고맙습니다. 또 오겠습니다.", ["tone_break"]),
    ("단답형", "끝났어요.", ["tone_break"]),
    ("야성형", "고맙습니다. 또 오겠습니다. 크하하, 이겼다!", ["mixed_speech", "tone_break"]),
    ("평범형", "구멍 뚫었어! 정말 완벽했어요!", ["mixed_speech"]),
    ("존칭형", "고맙습니다. 또 왔습니다. 도끼 줘.", ["mixed_speech"]),
    ("존칭형", "사장님! 도끼 하나.", ["tone_break"]),
    ("존칭형", "오랜만에 왔음.", []),
    ("평범형", "그게… 도끼가요.", []),
]


@pytest.mark.parametrize(("personality", "line", "expected"), SPEECH)
def test_speech_against_the_personality(personality: str, line: str, expected: list[str]) -> None:
    assert kinds(line, record(personality)) == expected


def test_mixed_speech_needs_no_personality_and_tone_break_does() -> None:
    assert kinds("뚫었어! 정말 완벽했어요!") == ["mixed_speech"]
    assert kinds("정말 완벽했어요!") == []


def test_tone_break_marks_the_first_sentence_that_is_off() -> None:
    line = "사장님! 덕분에 살았어요. 고맙습니다."
    (violation,) = check_line(line, record("하대형"), DOMAIN)
    assert line[violation.start : violation.end] == "덕분에 살았어요."


RENTALS_THAT_NEVER_WERE = [
    "저번에 빌려 간 창이 정말 좋았어요.",
    "지난번에 빌린 검 덕분에 살았습니다.",
    "그 창 덕분에 살았어.",
    "활 반납하러 왔어요.",
    "길드엔 보고했어. 활, 반납.",
    "저번 창으로 괴물을 잡았어요.",
    "늘 쓰던 장검이 무뎌졌어요.",
    "창으로 오크를 베었다!",
    "석궁 한 발로 끝냈다!",
    "지난번에 준 지팡이 최고였어요!",
    "그때 그 몽둥이 말이야, 부러졌어.",
]
NO_HALLUCINATION = [
    "저번에 빌려 간 도끼가 정말 좋았어요.",
    "손도끼 덕분에 살았습니다.",
    "저번에 도끼를 썼으니 이번엔 검을 빌릴게요.",
    "저번 도끼보다 무거운 망치 있나요?",
    "창가에 앉아서 그때를 떠올렸어요.",
    "저번에도 검은 고양이가 있었죠.",
    "지난 검사에서는 떨어졌습니다.",
    "지난번엔 창피했습니다.",
    "덕분에 활짝 웃으며 돌아왔어요.",
    "책임지고 반납할게요.",
    "동료가 저번에 창을 빌렸대요.",
    "오크가 창으로 저를 찔렀어요.",
    "지난 전투에서 산적의 창에 찔렸어요.",
    "저번 의뢰주가 검을 탐내더군요.",
    "저번에 말씀하신 망치, 들어왔나요?",
    "해 지기 전에 창 하나 빌려주세요.",
    "피가 마르기도 전에 창을 뽑았어요.",
    "도끼는 반납할 테니 검 하나 보여 주세요.",
    "‘저번에 빌린 창이 좋았어.’ 다들 그러더군요.",
]


@pytest.mark.parametrize("line", RENTALS_THAT_NEVER_WERE)
def test_a_rental_that_never_happened(line: str) -> None:
    assert "hallucinated_item" in kinds(line, record())


@pytest.mark.parametrize("line", NO_HALLUCINATION)
def test_no_rental_claimed(line: str) -> None:
    assert kinds(line, record()) == []


def test_a_word_for_several_items_fits_any_of_them() -> None:
    assert kinds("저번에 빌린 칼이 좋았어요.", record(previous="단검")) == []
    assert kinds("저번에 빌린 칼이 좋았어요.", record(previous="검")) == []
    assert kinds("저번에 빌린 칼이 좋았어요.", record(previous="창")) == ["hallucinated_item"]


@pytest.mark.parametrize("line", ["저번에 빌린 검이 참 좋았습니다.", "지난번 도끼 덕분에 살았어요."])
def test_first_visit_has_rented_nothing(line: str) -> None:
    assert kinds(line, record(previous="없음")) == ["hallucinated_item", "visit_contradiction"]
    assert kinds("도끼 반납할게요.", record(previous="없음")) == ["hallucinated_item"]


@pytest.mark.parametrize(
    "line",
    [
        "지난 싸움에서 검을 잃었습니다. 새 검을 빌려주세요.",
        "전에 쓰던 검이 부러져서 왔어요.",
        "고향에서 도끼로 나무를 팼습니다.",
        "이 집 검 덕분에 살았다는 얘기를 들었습니다.",
        "선배가 여기서 빌린 창이 좋았대요.",
    ],
)
def test_first_visit_may_have_used_its_own(line: str) -> None:
    assert kinds(line, record(previous="없음")) == []


@pytest.mark.parametrize(
    "line",
    [
        "활 하나 빌려주세요.",
        "석궁 좀 보여 줘.",
        "지팡이 있나요?",
        "마법서를 빌릴 수 있을까요?",
        "이번엔 단검으로 주세요.",
        "단검이 필요해요.",
        "좋은 활 추천해 주세요.",
        "제일 싼 활로 하나 빌릴 수 있겠습니까?",
        "얼른 빌려줘, 더 큰 활로!",
        "석궁 하루만 더 빌려주세요.",
    ],
)
def test_a_wish_that_the_class_has_no_use_for(line: str) -> None:
    assert kinds(line, record()) == ["class_item_mismatch"]


@pytest.mark.parametrize(
    "line",
    [
        "칼 한 자루 주세요.",
        "활 말고 검을 주세요.",
        "활보다 튼튼한 창 있나요?",
        "활은 됐고 창이나 내놔.",
        "지팡이 대신 망치를 빌려주세요.",
        "석궁 시위 좀 갈아 주세요.",
        "마법서는 왜 안 빌려줘요?",
        "저 활이 무거워 보여요.",
        "활을 보여 줬더니 웃더군요.",
        "활처럼 휘는 창 있나요?",
        "활기찬 사람한테 어울리는 검 있나요?",
        "도적들 단검에 안 베일 망치 하나 빌려주세요.",
        "도끼 있나요?",
    ],
)
def test_no_wish_against_the_class(line: str) -> None:
    assert kinds(line, record()) == []


def test_no_verdict_without_the_role() -> None:
    bare = replace(DOMAIN, roles={})
    lines = ("지난번에 빌린 검 덕분에 살았습니다.", "활 하나 빌려주세요.", "도끼 줘.")
    assert [check_line(line, record("존칭형"), bare) for line in lines] == [[], [], []]


TEXT = {
    "foreign_text": [
        "failure였지, 이번 일은.",
        "client님, 어서 오세요.",
        "무기 武器 좋네요.",
        "アイテム 주세요.",
        "검 좀 줘 ㄱㄱ",
        "Спасибо, 사장님.",
        "좋아\ufffd요, 사장님.",
        "이번엔 E급이에요.",
    ],
    "repetition": [
        "좋았어요. 정말 좋았어요. 정말 좋았어요.",
        "그 활 그 활 그 활 좋아요.",
        "정말 정말 정말 좋아요.",
        "고맙습니다 사장님 고맙습니다 사장님.",
        "다다다다",
        "좋았다다다다.",
        "주세요주세요주세요",
        "활을 빌려주세요, 활을 빌려주세요.",
    ],
    "length": ["", "   ", "네", "가" * 101],
    "prompt_leak": [
        "성격: 존칭형",
        "모험가타입=전사 주세요",
        "인사말: 왔습니다.",
        "왔어요 ### 또 왔어요",
        "왔어요.\n저 왔어요.",
        "{검} 주세요.",
        "<pad>왔습니다.",
    ],
    "truncated": ["이번에는 좋은 창을", "사장님의", "저번에 빌린", "무릎이 아프면서", "좋은 창,"],
    "banned_word": ["이런 씨발, 졌어.", "스마트폰 있나요?", "지랄하고 있네."],
}
CLEAN = [
    "A급 모험가입니다.",
    "활 하나 줘ㅋㅋㅋ",
    "아쉽네요ㅠㅠ",
    "3번이나 졌어!!",
    "정말 정말 좋아요.",
    "하하하하! 이겼다!",
    "크하하하하! 으아아아!",
    "쾅쾅쾅쾅, 문을 부쉈지.",
    "쿵, 쿵, 쿵! 온다!",
    "한 닢 한 닢 모았어요.",
    "갈까 말까 갈까 말까 했어요.",
    "덜컹덜컹덜컹 흔들려서 혼났죠.",
    "그래, 그래. 알았어.",
    "나이 먹으니 무릎이 아파요.",
    "이번엔 검으로",
    "고마워",
    "좋더군, 그 활",
    "이 늙은 몸이.",
    "살려 줘서 고맙고",
    "물건은 즉시 발송하세요.",
]


@pytest.mark.parametrize(("kind", "line"), [(kind, line) for kind, lines in TEXT.items() for line in lines])
def test_faults_of_the_text(kind: str, line: str) -> None:
    assert kind in kinds(line)


@pytest.mark.parametrize("line", CLEAN)
def test_clean_text(line: str) -> None:
    assert kinds(line) == []


def test_allowed_foreign_words_end_where_they_end() -> None:
    (violation,) = check_line("S급 hero가 왔다.", {}, DOMAIN)
    assert (violation.kind, violation.start, violation.end) == ("foreign_text", 3, 7)


def test_length_by_personality() -> None:
    line = "이건 스물다섯 음절을 훌쩍 넘겨 버리는 몹시도 길고 긴 대사였어."
    assert kinds(line, record("단답형")) == ["length"]
    assert kinds(line, record("하대형")) == []


def test_a_line_stopped_by_length_is_truncated_however_it_ends() -> None:
    assert kinds("활 하나 빌려주세요.", finished=False) == ["truncated"]
    assert kinds("좋은 활을", finished=False) == ["truncated"]


def test_sorted_by_place_then_kind() -> None:
    found = check_line("저번에 빌린 창이 sharp했어 sharp했어 sharp했어. 고맙습니다, 또", record("존칭형"), DOMAIN, finished=False)
    assert [(v.start, v.kind) for v in found] == sorted((v.start, v.kind) for v in found)
    assert len(found) > 3


def test_decomposed_line_is_checked_as_composed_with_its_own_offsets() -> None:
    composed = "저번에 빌린 창이 sharp했어."
    line = unicodedata.normalize("NFD", composed)
    expected = [(v.kind, composed[v.start : v.end]) for v in check_line(composed, record(), DOMAIN)]
    found = [(v.kind, unicodedata.normalize("NFC", line[v.start : v.end])) for v in check_line(line, record(), DOMAIN)]
    assert found == expected == [("hallucinated_item", "창"), ("foreign_text", "sharp")]


@pytest.mark.parametrize(
    "line", ["가" * 10_000, "저번 검 " * 2_500, "갔어요, " * 2_500, "'" * 10_000, "\ud800검\udfff", "😀" * 50, "\x00"]
)
def test_odd_lines_are_no_exception(line: str) -> None:
    found = check_line(line, record("존칭형"), DOMAIN)
    assert found
    assert all(0 <= v.start <= v.end <= len(line) for v in found)


_GLUE = st.sampled_from(
    [
        "검",
        "저번에",
        "빌린",
        "활로",
        "주세요",
        "줘.",
        "했다",
        ",",
        "…",
        "!",
        " ",
        "\n",
        "A급",
        "abc",
        "ㅋ",
        "“",
        "”",
        "\u1100\u1161",
        "\ud800",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=50) | st.lists(_GLUE, max_size=20).map("".join), st.sampled_from(DOMAIN.probes), st.booleans())
def test_any_line(line: str, attributes: dict[str, Any], finished: bool) -> None:
    found = check_line(line, attributes, DOMAIN, finished=finished)
    assert all(0 <= v.start <= v.end <= len(line) and v.kind in KINDS and v.message for v in found)
    assert check_line(line, attributes, DOMAIN, finished=finished) == found


def test_registry() -> None:
    modules = [import_module(check.__module__) for check in CHECKS.values()]
    assert sorted(kind for module in modules for kind in module.KINDS) == sorted(KINDS)


def test_rules_hash_follows_the_domain() -> None:
    assert rules_hash(DOMAIN) == rules_hash(DOMAIN)
    assert len(rules_hash(DOMAIN)) == 16
    assert rules_hash(DOMAIN) != rules_hash(replace(DOMAIN, content_hash="another"))


def test_importing_the_checks_loads_no_heavy_library() -> None:
    code = "import npc_align.checks, sys; assert not {'torch', 'transformers', 'kiwipiepy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
