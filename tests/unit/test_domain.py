"""Domain and prompt: a studio's own world is data, and mistakes in it are told."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml

from npc_align.domain import Domain, default_corpus, load_domain, nfc, shipped_domains
from npc_align.errors import UserError
from npc_align.prompt import RENDERERS, body, fingerprint, render

TEA_HOUSE: dict[str, Any] = {
    "name": "tea_house",
    "line_key": "대사",
    "attributes": [
        {"key": "손님", "values": ["첫손님", "아는손님", "단골손님"]},
        {"key": "차", "prompt_key": "마신 차", "values": {0: "아직", 1: "녹차", 2: "홍차"}},
        {"key": "말투", "values": ["공손", "편함"]},
    ],
    "roles": {"personality": "말투", "visit": "손님"},
    "coherence": [{"손님": "첫손님", "차": 0}],
}


def studio(tmp_path: Path, **changes: Any) -> str:
    """The path of a studio's own domain file."""
    path = tmp_path / "domain.yaml"
    path.write_text(yaml.safe_dump({**TEA_HOUSE, **changes}, allow_unicode=True), encoding="utf-8")
    return str(path)


class ChatTokenizer:
    chat_template = "a template"

    def apply_chat_template(self, messages: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
        return f"<{messages[0]['role']}>{messages[0]['content']}<answer>"


def test_every_shipped_domain_loads_with_sound_probes() -> None:
    assert shipped_domains() == ["weapon_rental", "weapon_rental_v1"]
    for name in shipped_domains():
        domain = load_domain(name)
        assert domain.name == name
        assert all(domain.problems(probe) == [] for probe in domain.probes)


def test_a_studios_own_domain_loads_from_its_file_and_its_folder(tmp_path: Path) -> None:
    path = studio(tmp_path)
    assert load_domain(path).line_key == "대사"
    assert load_domain(str(tmp_path)).content_hash == load_domain(path).content_hash


def test_the_hash_follows_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    changed = studio(tmp_path / "b", banned_words=["술"])
    assert load_domain(studio(tmp_path / "a")).content_hash != load_domain(changed).content_hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "unknown section colour"),
        ({"roles": {"visit": "없는것"}}, "role visit names '없는것'"),
        ({"roles": {"weather": "차"}}, "unknown role 'weather'"),
        ({"coherence": [{"없는것": 1}]}, "coherence names '없는것'"),
        ({"attributes": [{"key": "차", "values": []}]}, "an attribute needs a key and values"),
        ({"probes": [{"차": 9}]}, "probe .*not a value"),
    ],
)
def test_a_mistake_in_a_domain_file_is_told(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_domain(studio(tmp_path, **changes))


# A domain with items, tone and all the rest, each section sound.
FULL: dict[str, Any] = {
    "attributes": [
        *TEA_HOUSE["attributes"],
        {"key": "직업", "values": ["선비", "상인"]},
        {"key": "잔", "values": ["무", "사발"]},
    ],
    "roles": {"personality": "말투", "visit": "손님", "result": "차", "class": "직업", "previous_item": "잔"},
    "no_item": "무",
    "items": {"사발": ["사발", "대접"], "종지": ["종지"]},
    "affinity": {"선비": ["종지"]},
    "visits": {"first": ["첫손님"]},
    "results": {"none": [0]},
    "tone": {"공손": {"home": ["해요체"], "tolerated": ["하십시오체"]}, "편함": {"home": ["해체"], "fragments": True}},
    "length": {"default": {"max_chars": 80}, "편함": {"min_syllables": 1}},
    "cues": {"past": ["저번"]},
    "probes": [{"차": 0}],
    "convert_to": {"inn": {"차": {"to": "술", "values": {1: "맑은술"}}}},
}


def test_a_domain_with_every_section_loads(tmp_path: Path) -> None:
    domain = load_domain(studio(tmp_path, **FULL))
    assert domain.tone["편함"].fragments
    assert domain.length["default"].max_chars == 80
    assert domain.affinity == {"선비": ("종지",)}


@pytest.mark.parametrize("section", ["line_key", "attributes", "roles", "items", "tone", "probes", "no_item", "inherit"])
def test_an_empty_section_is_told(section: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"domain\.yaml: {section}: is empty"):
        load_domain(studio(tmp_path, **{**FULL, section: None}))


@pytest.mark.parametrize(
    "section",
    ["roles", "items", "affinity", "visits", "intervals", "results", "tone", "politeness", "length", "cues", "convert_to"],
)
def test_a_section_that_must_be_a_mapping_says_so(section: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"domain\.yaml: {section}: must be a mapping"):
        load_domain(studio(tmp_path, **{**FULL, section: ["하나"]}))


@pytest.mark.parametrize("section", ["coherence", "not_items", "allowed_foreign", "banned_words", "probes", "attributes"])
def test_a_section_that_must_be_a_list_says_so(section: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"domain\.yaml: {section}: must be a list"):
        load_domain(studio(tmp_path, **{**FULL, section: "하나"}))


TONE = FULL["tone"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, "name: must be text, not 3"),
        ({"attributes": [{"key": "차", "values": "녹차"}]}, "차: values: must be a list"),
        ({"attributes": [{"key": "차", "values": [True]}]}, "True is neither text nor a whole number"),
        ({"attributes": [{"key": "차", "values": {0: 1}}]}, "must be text, not 1"),
        ({"attributes": [{"key": "차", "values": [1], "label": "x"}]}, "unknown key 'label'; allowed: key, prompt_key, values"),
        ({"attributes": [{"key": "차", "values": [1]}] * 2}, "stands there twice"),
        ({"roles": {"visit": ["손님"]}}, "role visit names"),
        ({"coherence": [{"손님": "없는것"}]}, "'없는것' is not a value of it; allowed: 첫손님, 아는손님, 단골손님"),
        ({"coherence": ["손님"]}, "coherence: a group: must be a mapping"),
        ({"tone": {**TONE, "공손": {"tolerated": ["해체"]}}}, "tone: 공손: has no home.*allowed: 하십시오체"),
        ({"tone": {**TONE, "공손": {"home": "해체"}}}, "tone: 공손: home: must be a list"),
        ({"tone": {**TONE, "공손": {"home": ["반말"]}}}, "'반말' is not a level of speech; allowed: 하십시오체, 해요체, 하오체"),
        ({"tone": {**TONE, "공손": {"home": ["해체"], "own": 1}}}, "unknown key 'own'; allowed: home, tolerated, fragments"),
        ({"tone": {**TONE, "공손": {"home": ["해체"], "fragments": "yes"}}}, "fragments: must be true or false"),
        ({"tone": {**TONE, "공손": None}}, "tone: 공손: must be a mapping"),
        (
            {"tone": {**TONE, "무뚝뚝": {"home": ["해체"]}}},
            "'무뚝뚝' is not a value of the personality role; allowed: 공손, 편함",
        ),
        ({"tone": {"공손": {"home": ["해요체"]}}}, "tone: has no entry for '편함'"),
        ({"length": {"default": {"max_words": 3}}}, "unknown key 'max_words'; allowed: min_syllables"),
        ({"length": {"default": {"max_chars": "길게"}}}, "max_chars: must be a whole number, 0 or more, not '길게'"),
        ({"length": {"default": {"max_chars": True}}}, "must be a whole number"),
        ({"length": {"무뚝뚝": {"max_chars": 3}}}, "'무뚝뚝' is not 'default' or a value of the personality role"),
        ({"no_item": "없음"}, "no_item: '없음' is not a value of the previous_item role; allowed: 무, 사발"),
        ({"items": {"종지": ["종지"]}}, "items: '사발' is not among the items, though a value of the previous_item role"),
        ({"items": {"사발": "대접", "종지": []}}, "items: 사발: must be a list"),
        ({"affinity": {"무사": ["종지"]}}, "affinity: '무사' is not a value of the class role; allowed: 선비, 상인"),
        ({"affinity": {"선비": ["붓"]}}, "affinity: 선비: '붓' is not among the items; allowed: 사발, 종지"),
        ({"visits": {"first": ["처음"]}}, "visits: first: '처음' is not a value of the visit role"),
        ({"results": {"none": [True]}}, "results: none: True is not a value of the result role; allowed: 0, 1, 2"),
        ({"results": {"lost": [0]}}, "unknown key 'lost'; allowed: none, failure, success"),
        (
            {"intervals": {"long": ["오래됨"]}, "roles": {"interval": "손님"}},
            "intervals: long: '오래됨' is not a value of the interval role",
        ),
        ({"politeness": {"반말체": "반말"}}, "politeness: '반말체' is not a level of speech; allowed: 하십시오체"),
        ({"politeness": {"하오체": "높임"}}, "politeness: 하오체: '높임' is not a side; allowed: 존댓말, 반말"),
        ({"ignored_kinds": ["rude"]}, "ignored_kinds: 'rude' is not a kind of violation; allowed: tone_break"),
        ({"cues": {"past": [1]}}, "cues: past: must be text"),
        ({"probes": ["차"]}, "probes: a probe: must be a mapping"),
        ({"convert_to": {"inn": {"차": {"values": {}}}}}, "convert_to: inn: 차: to: must be text"),
        ({"convert_to": {"inn": {"차": {"to": "술", "values": {9: "x"}}}}}, "9 is not a value of 차"),
        ({"inherit": "nowhere"}, "no domain 'nowhere'"),
    ],
)
def test_what_stands_in_a_section_is_checked(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_domain(studio(tmp_path, **{**FULL, **changes}))


def test_the_corpus_of_a_shipped_domain_goes_by_its_name(tmp_path: Path) -> None:
    for name in shipped_domains():
        assert default_corpus(name).is_file()
    for own in (studio(tmp_path), str(default_corpus("weapon_rental").with_name("domain.yaml")), "tea_house", ""):
        with pytest.raises(UserError, match=r"brings no corpus of its own; give --corpus \(commands\) or data\.corpus"):
            default_corpus(own)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a: [", "not readable"), (b"- 1", "mapping"), (b"1: 2", "unknown section 1"), ("말투".encode("cp949"), "UTF-8")],
)
def test_an_unreadable_domain_file_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "domain.yaml").write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_domain(str(tmp_path))


@pytest.mark.parametrize("name", ["no_such_domain", "/no/such/domain.yaml"])
def test_a_domain_that_is_not_there_names_those_that_are(name: str) -> None:
    with pytest.raises(UserError, match="weapon_rental"):
        load_domain(name)


def test_what_looks_the_same_is_the_same(tmp_path: Path) -> None:
    path = Path(studio(tmp_path))
    composed = load_domain(str(path))
    (tmp_path / "nfd").mkdir()
    decomposed = tmp_path / "nfd" / "domain.yaml"
    decomposed.write_text(unicodedata.normalize("NFD", path.read_text(encoding="utf-8")), encoding="utf-8")
    assert load_domain(str(decomposed)).attributes == composed.attributes
    spelled = {unicodedata.normalize("NFD", "말투"): [unicodedata.normalize("NFD", "공손")]}
    assert nfc(spelled) == {"말투": ["공손"]}


@pytest.mark.parametrize(
    "odd", [{"날씨": "맑음"}, {"차": 3}, {"차": True}, {"차": "1"}, {"손님": "첫손님", "차": 1}, {"손님": "단골손님", "차": 0}]
)
def test_unknown_values_and_contradictions_are_problems(tmp_path: Path, odd: dict[str, Any]) -> None:
    assert len(load_domain(studio(tmp_path)).problems(odd)) == 1


def test_what_is_unset_contradicts_nothing(tmp_path: Path) -> None:
    domain = load_domain(studio(tmp_path))
    assert domain.problems({"손님": "첫손님"}) == []
    assert domain.problems({}) == []


def test_a_role_that_nobody_plays_gives_nothing(tmp_path: Path) -> None:
    domain = load_domain(studio(tmp_path))
    assert domain.role({"차": 1}, "previous_item") is None
    assert domain.role({"차": 1}, "visit") is None
    assert domain.role({"손님": "단골손님"}, "visit") == "단골손님"


@pytest.fixture(params=["weapon_rental", "weapon_rental_v1", "studio"])
def any_domain(request: pytest.FixtureRequest, tmp_path: Path) -> Domain:
    return load_domain(studio(tmp_path) if request.param == "studio" else request.param)


def test_what_is_drawn_is_coherent_new_and_repeatable(any_domain: Domain) -> None:
    drawn = any_domain.draw(4, seed=3)
    assert drawn == any_domain.draw(4, seed=3)
    taken = {any_domain.combination(a) for a in drawn}
    again = any_domain.draw(4, seed=3, exclude=taken)
    assert len(taken) == 4
    assert not taken & {any_domain.combination(a) for a in again}
    assert all(any_domain.problems(a) == [] for a in drawn + again)


def test_drawing_more_than_there_is_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only 10 of 11"):
        load_domain(studio(tmp_path)).draw(11, seed=0)  # 2 ways of talking x (1 first visit + 2 visits x 2 teas)


def test_converting_keeps_what_is_known_and_leaves_the_rest_unset() -> None:
    source, target = load_domain("weapon_rental_v1"), load_domain("weapon_rental")
    converted = source.convert(source.probes[0], target.name)
    assert target.problems(converted) == []
    assert target.role(converted, "personality") == source.role(source.probes[0], "personality")
    assert target.role(converted, "previous_item") is None
    with pytest.raises(UserError, match="no conversion"):
        target.convert({}, source.name)


# --- Prompt


def test_the_prompt_is_the_attributes_in_the_domains_order(tmp_path: Path) -> None:
    domain = load_domain(studio(tmp_path))
    prompt = render({"말투": "공손", "차": 2, "손님": "단골손님"}, domain)
    assert prompt == "### User:\n손님: 단골손님\n마신 차: 홍차\n말투: 공손\n\n### Assistant:\n"


def test_an_unset_attribute_is_left_out(tmp_path: Path) -> None:
    assert body({"말투": "편함"}, load_domain(studio(tmp_path))) == "말투: 편함"


def test_v1_numbers_are_told_in_words() -> None:
    text = body({"affectionLevel": 4, "visitCount": 0, "context.lastResult": 0}, load_domain("weapon_rental_v1"))
    assert text == "호감도: 매우 높음\n방문: 첫방문\n이전결과: 첫방문"


def test_an_unknown_renderer_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=", ".join(RENDERERS)):
        render({}, load_domain(studio(tmp_path)), "alpaca")


def test_chat_uses_the_template_and_refuses_to_do_without(tmp_path: Path) -> None:
    domain = load_domain(studio(tmp_path))
    assert render({"차": 1}, domain, "chat", ChatTokenizer()) == "<user>마신 차: 녹차<answer>"
    for tokenizer in (None, object()):
        with pytest.raises(UserError, match="chat template"):
            render({"차": 1}, domain, "chat", tokenizer)


def test_the_fingerprint_moves_with_renderer_and_labels(tmp_path: Path) -> None:
    domain = load_domain(studio(tmp_path))
    (tmp_path / "b").mkdir()
    relabelled = load_domain(studio(tmp_path / "b", attributes=[{**a, "prompt_key": "새 이름"} for a in TEA_HOUSE["attributes"]]))
    prints = {fingerprint(domain, "user_assistant"), fingerprint(domain, "chat", ChatTokenizer())}
    assert len(prints | {fingerprint(relabelled, "user_assistant")}) == 3
    assert fingerprint(domain, "user_assistant") in prints
