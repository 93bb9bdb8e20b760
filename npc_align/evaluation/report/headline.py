"""The headline in one sentence per language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from npc_align.evaluation.report.source import DEFAULT, Evaluation
from npc_align.evaluation.report.words import Rate, Text, difference, interval, percent, points


@dataclass(frozen=True)
class Headline:
    """What was found, and whether that is a pass (None where the decoding gap wasn't measured)."""

    passed: bool | None
    verdict: Text
    sentence: Text
    detail: Text


def headline(evaluation: Evaluation) -> Headline:
    """The decoding gap and what it means: a pass where it is at most 0."""
    found = evaluation.result["headline"]
    if found is None:
        return _without_gap()
    gap, passed = found["decoding_gap"], found["decoding_gap"]["value"] <= 0
    verdict = Text("합격", "PASS") if passed else Text("불합격", "FAIL")
    return Headline(passed, verdict, _sentence(evaluation, found), _detail(found, gap))


def _without_gap() -> Headline:
    return Headline(
        None,
        Text("판정 없음", "NOT MEASURED"),
        Text(
            "디코딩 격차를 재지 않았습니다. 아래는 잰 것의 비교뿐입니다.",
            "The decoding gap wasn't measured; what follows compares what was.",
        ),
        Text(
            "격차를 재려면 손으로 맞춘 디코딩을 함께 재는 npc-eval grid를 돌리세요.",
            "To measure it, run npc-eval grid, which searches the tuned model's best decoding too.",
        ),
    )


def _sentence(evaluation: Evaluation, found: Mapping[str, Any]) -> Text:
    aligned, tuned, gap = found["aligned"], found["tuned"], found["decoding_gap"]["value"]
    ours = evaluation.cell(aligned, DEFAULT)
    theirs = evaluation.cell(tuned, found["tuned_decoding"])
    rates = [percent(c.summary["violations"]["value"]) if c else "?" for c in (ours, theirs)]
    size = points(abs(gap)).lstrip("+")
    korean = f"{aligned} 쪽이 {size} {'낮습니다' if gap < 0 else '높습니다'}." if gap else "둘이 같습니다."
    english = f"{aligned} is {size} {'lower' if gap < 0 else 'higher'}." if gap else "The two are equal."
    return Text(
        f"아무것도 조절하지 않은 {aligned}에서는 대사의 {rates[0]}에 흠이 있고, 손으로 가장 잘 맞춘 {tuned}에서는 {rates[1]}에 흠이 있습니다. "
        + korean,
        f"With nothing tuned, {rates[0]} of {aligned}'s lines break a rule; with the best decoding found by hand, "
        f"{rates[1]} of {tuned}'s do. " + english,
    )


def _detail(found: Mapping[str, Any], gap: Rate) -> Text:
    chosen = found["chosen_on"]
    sure = gap["high"] < 0 or gap["low"] > 0
    chance = (
        Text("구간이 0을 품지 않아, 우연으로 보기 어렵습니다.", "The interval excludes 0, so chance is an unlikely reason.")
        if sure
        else Text("구간이 0을 품어, 이만한 차이는 우연일 수도 있습니다.", "The interval includes 0, so chance may explain it.")
    )
    prompts, rate = chosen["prompts"], interval(chosen["violations"])
    best = f"{found['tuned']}: {found['tuned_decoding']}"
    return Text(
        f"디코딩 격차 {difference(gap)}. 0 이하면 합격입니다. {chance.ko} "
        f"맞춘 디코딩({best})은 설정 {chosen['tried']}가지를 {chosen['split']} 프롬프트 {prompts}개에서 견주어 골랐고, 거기서는 {rate}였습니다.",
        f"Decoding gap {difference(gap)}; a pass is at most 0. {chance.en} "
        f"The tuned decoding ({best}) was chosen among {chosen['tried']} on {prompts} {chosen['split']} prompts, where its rate was {rate}.",
    )
