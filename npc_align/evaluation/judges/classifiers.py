"""Whether a line shows the personality, and the quest's result, that its prompt asked for: classifiers on morphemes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any, ClassVar

from npc_align.cli import MissingExtra
from npc_align.corpus import Example
from npc_align.domain import Attributes
from npc_align.evaluation.folder import JudgedLine
from npc_align.evaluation.judges.base import About, Judge, Progress, Scores, Setting, Skipped
from npc_align.evaluation.judges.morphology import with_bigrams
from npc_align.evaluation.statistics import wilson

_LOW = 0.8  # an accuracy below this is pointed out
_AT_ONCE = 50  # lines read between two steps of the progress bar


class _Classifier(Judge):
    """Logistic regression on morphemes and pairs of them (tf-idf), trained on the corpus' train split."""

    better = "higher"
    role: ClassVar[str]

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._key = setting.domain.roles.get(self.role)

    def label(self, attributes: Attributes) -> str | None:
        """The class that the attributes ask for; None where they leave it open."""
        value = attributes.get(self._key) if self._key else None
        return None if value is None else str(value)

    def inputs(self) -> list[str]:
        if self._key is None:
            raise Skipped(f"the domain {self.setting.domain.name} gives no attribute the role {self.role}")
        try:
            return [*super().inputs(), version("scikit-learn")]
        except ModuleNotFoundError as error:
            raise MissingExtra("scikit-learn", "train") from error

    def scores(self, lines: Sequence[JudgedLine], progress: Progress) -> Scores:
        predicted = self._predict([line.line for line in lines], progress)
        wanted = [self.label(line.attributes) for line in lines]
        return [None if w is None else float(p == w) for p, w in zip(predicted, wanted, strict=True)]

    def about(self, progress: Progress) -> About:
        lines = [line for line in self.setting.references if self.label(line.attributes) is not None]
        wanted = [str(self.label(line.attributes)) for line in lines]
        right = [p == w for p, w in zip(self._predict([x.line for x in lines], progress), wanted, strict=True)]
        by_class = {name: _share([r for r, w in zip(right, wanted, strict=True) if w == name]) for name in dict.fromkeys(wanted)}
        rate = _share(right)
        accuracy = {**rate, "on": f"test split, {len(lines)} lines", "by_class": by_class}
        return About(self._what(rate, by_class), accuracy)

    def _what(self, rate: dict[str, float], by_class: dict[str, dict[str, float]]) -> str:
        weakest = min(by_class, key=lambda name: by_class[name]["value"])
        text = (
            f"Share of lines in which a classifier recognises the {self._key} of the prompt (logistic regression on morphemes and pairs of "
            f"them, trained on the corpus' train split). On the test split's own lines it is right for {rate['value']:.1%} "
            f"({rate['low']:.1%} to {rate['high']:.1%}), least for {weakest} ({by_class[weakest]['value']:.0%})."
        )
        return text + (" That is low: read the figure as a comparison only." if rate["value"] < _LOW else "")

    def _predict(self, lines: Sequence[str], progress: Progress) -> list[str]:
        found: list[str] = []
        for start in range(0, len(lines), _AT_ONCE):
            part = lines[start : start + _AT_ONCE]
            found += [str(label) for label in self._trained.predict(part)]
            progress(len(part))
        return found

    @cached_property
    def _trained(self) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        examples = [e for e in self.setting.splits["train"] if self.label(e.attributes) is not None]
        self._require_classes(examples)
        _ = self.setting.train_lines  # reads them, with a progress bar
        words = TfidfVectorizer(analyzer=with_bigrams, sublinear_tf=True, min_df=2)
        model = make_pipeline(words, LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced"))
        return model.fit([e.line for e in examples], [self.label(e.attributes) for e in examples])

    def _require_classes(self, examples: Sequence[Example]) -> None:
        if len({self.label(e.attributes) for e in examples}) < 2:
            raise Skipped(f"the corpus' train split has fewer than two values of {self._key}; nothing can be told apart")


class PersonalityClassifier(_Classifier):
    name = "personality_classifier"
    title = "Lines recognised as the prompt's personality"
    role = "personality"


class ResultClassifier(_Classifier):
    name = "result_classifier"
    title = "Lines recognised as the prompt's quest result"
    role = "result"

    def label(self, attributes: Attributes) -> str | None:
        """The result's group where the domain names groups (a great success is a success), else the value itself."""
        value = super().label(attributes)
        groups = self.setting.domain.results.items()
        return next((name for name, values in groups if value in [str(v) for v in values]), value)


def _share(right: Sequence[bool]) -> dict[str, float]:
    return dict(vars(wilson(sum(right), len(right))))
