"""What the report says of the judges themselves: how far each can be trusted, and which ones couldn't judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from npc_align.evaluation.report.words import Text, interval

# A test holds this against the judges that there are.
NAMES = {
    "unknown_words": Text("말뭉치와 사전에 없는 낱말이 든 대사", "Words unknown to the corpus and to Kiwi"),
    "unknown_endings": Text("모르는 말끝이 붙은 대사", "Sentence endings unknown to the corpus and to grammar"),
    "new_words": Text("말뭉치에 없는 낱말이 든 대사", "Words that the corpus doesn't have"),
    "personality_classifier": Text("주어진 성격으로 알아볼 수 있는 대사", "Lines recognised as the prompt's personality"),
    "result_classifier": Text("주어진 결과로 알아볼 수 있는 대사", "Lines recognised as the prompt's quest result"),
    "held_out_checks": Text("학습 짝에 쓰지 않은 규칙을 어긴 대사", "Checks that were kept out of the pairs"),
    "fluency": Text("자연스러움 (글자당 로그확률)", "Fluency: log-likelihood per character under the base model"),
    "counterfactual_personality": Text("다른 성격보다 제 성격에 맞는 대사", "Lines likeliest under their own personality"),
    "counterfactual_result": Text("다른 결과보다 제 결과에 맞는 대사", "Lines likeliest under their own quest result"),
}


# What a writer reads instead of the judge's own English words, which go into detail.
EXPLAINED = {
    "unknown_words": "말뭉치에도 사전에도 없는 낱말이 하나라도 든 대사의 비율입니다. 지어낸 말을 찾습니다.",
    "unknown_endings": "문장 끝에 말뭉치에도 문법에도 없는 꼬리가 붙은 대사의 비율입니다 (승리했습니다만용).",
    "new_words": "말뭉치에 없는 낱말이 든 대사의 비율입니다. 좋은 대사에도 있으니 모델 사이에서 느는지를 보세요.",
    "personality_classifier": "대사만 보고 성격을 맞히는 프로그램이 주어진 성격을 알아본 대사의 비율입니다.",
    "result_classifier": "대사만 보고 결과를 맞히는 프로그램이 주어진 결과를 알아본 대사의 비율입니다.",
    "held_out_checks": "학습할 짝을 만들 때 일부러 쓰지 않은 검사 규칙을 어긴 대사의 비율입니다.",
    "fluency": (
        "학습하지 않은 바탕 모델이 대사를 얼마나 자연스러운 글로 보는지입니다. 0에 가까울수록 자연스럽습니다. 짧고 흔한 말은 값이 좋게 나옵니다. "
        "길이 한도에서 잘린 대사는 재지 않습니다. 끝없는 반복은 되풀이할수록 값이 좋아지기 때문입니다."
    ),
    "counterfactual_personality": "따로 학습한 모델이 보기에, 성격을 다른 것으로 바꾸면 덜 어울리는 대사의 비율입니다.",
    "counterfactual_result": "따로 학습한 모델이 보기에, 결과를 다른 것으로 바꾸면 덜 어울리는 대사의 비율입니다.",
}


@dataclass(frozen=True)
class ShownJudge:
    """A judge of judges.json.

    Attributes:
        arrow: ↓ where lower is better, ↑ where higher.
        cells: its figure by (model, decoding), where it had a verdict.
        reference: the same figure for the corpus' own lines; "–" where it has none.
        accuracy: how often it is right; "–" where there is nothing to be right about.
        reference_on, accuracy_on: what they were measured on, in the judge's words.
    """

    name: Text
    what: Text
    arrow: str
    unit: str
    cells: Mapping[tuple[str, str], str]
    reference: str
    reference_on: str
    accuracy: str
    accuracy_on: str
    differences: list[Mapping[str, Any]]


@dataclass(frozen=True)
class SkippedJudge:
    """A judge that couldn't judge this evaluation, and its own words on why and what to run."""

    name: Text
    reason: str


def shown_judges(judges: Mapping[str, Any] | None) -> dict[str, ShownJudge]:
    """The judges of judges.json by key; none where nobody judged."""
    return {key: _shown(key, entry) for key, entry in (judges or {"judges": {}})["judges"].items()}


def skipped_judges(judges: Mapping[str, Any] | None) -> list[SkippedJudge]:
    """Those that were asked and couldn't judge."""
    return [SkippedJudge(_name(key, key), reason) for key, reason in (judges or {"skipped": {}})["skipped"].items()]


def _shown(key: str, entry: Mapping[str, Any]) -> ShownJudge:
    unit, accuracy = entry["unit"], entry["accuracy"]
    # A classifier's accuracy on the corpus' own lines is the share of them that it recognises, so it isn't said twice.
    reference = entry["reference"] or (accuracy if unit == "share" else None)
    return ShownJudge(
        name=_name(key, entry["title"]),
        what=Text(EXPLAINED.get(key, entry["what"]), entry["what"]),
        arrow="↓" if entry["better"] == "lower" else "↑",
        unit=unit,
        cells={(c["model"], c["decoding"]): interval(c["rate"], unit) for c in entry["cells"] if c["rate"]},
        reference=interval(reference, unit) if reference else "–",
        reference_on=reference["on"] if reference else "",
        accuracy=interval(accuracy) if accuracy else "–",
        accuracy_on=accuracy["on"] if accuracy else "",
        differences=entry["differences"],
    )


def _name(key: str, otherwise: str) -> Text:
    """A judge as a writer calls it; one that this version doesn't know keeps its own title."""
    return NAMES.get(key, Text(otherwise, otherwise))
