"""What a judge is: a number per line, how sure the judge itself is, and what its numbers depend on."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from npc_align.corpus import Example
from npc_align.domain import Domain
from npc_align.errors import UserError
from npc_align.evaluation.folder import JudgedLine, Result
from npc_align.evaluation.judges.morphology import read_all
from npc_align.evaluation.statistics import Interval, paired_difference
from npc_align.files import file_hash
from npc_align.splits import load_splits

Scores = list[float | None]
Progress = Callable[[int], None]


class Skipped(UserError):
    """A judge that can't judge this folder; the text says why, and what to run."""


@dataclass(frozen=True)
class Setting:
    """What is judged, and by what.

    Attributes:
        folder: the evaluation folder.
        corpus: the corpus file; judges learn from its train split, and are measured on its test split.
        seed_model: an SFT run of another seed than the models judged; None where there is none.
        base_model: the pretrained model that measures fluency.
        held_out_kinds: kinds that took no part in the pairs; None to read them from the DPO runs.
        costly_lines: the judges that run a model look at so many lines of a cell, and of the references; None: at all.
    """

    folder: Path
    result: Result
    domain: Domain
    corpus: Path
    seed_model: str | None = None
    base_model: str | None = None
    held_out_kinds: tuple[str, ...] | None = None
    costly_lines: int | None = None

    @cached_property
    def splits(self) -> dict[str, list[Example]]:
        return load_splits(self.corpus, self.domain)

    @cached_property
    def train_lines(self) -> list[str]:
        """The train split's lines, their morphemes read once with a progress bar."""
        lines = [e.line for e in self.splits["train"]]
        read_all(lines)
        return lines

    @cached_property
    def stamp(self) -> str:
        """Changes with the corpus, its splits or the domain."""
        fixed = self.corpus.with_suffix(".splits.json")
        return f"{file_hash(self.corpus)} {file_hash(fixed) if fixed.is_file() else ''} {self.domain.content_hash}"

    @cached_property
    def references(self) -> list[JudgedLine]:
        """The test split's own lines: what a person wrote, and no judge has learnt from."""
        return [JudgedLine(e.attributes, e.line, True, []) for e in self.splits["test"]]


@dataclass(frozen=True)
class About:
    """What a judge says of itself.

    Attributes:
        what: what it measures, how, and how far to trust it.
        accuracy: `value`, `low`, `high`, `on`; None where there is nothing to be right or wrong about.
        reference: the same figure for the corpus' test lines; None where it would be the accuracy again.
    """

    what: str
    accuracy: Mapping[str, Any] | None = None
    reference: Mapping[str, Any] | None = None


class Judge(ABC):
    """One judge. What it learns, it learns when the first line comes: a cached verdict costs nothing."""

    name: ClassVar[str]
    title: ClassVar[str]
    better: ClassVar[str]  # "lower" or "higher"
    unit: ClassVar[str] = "share"  # of lines; or "mean" of a number
    costly: ClassVar[bool] = False  # whether it runs a model

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def inputs(self) -> list[str]:
        """What its verdicts depend on besides the lines and its own source.

        Raises:
            Skipped: it can't judge here.
        """
        return [self.setting.stamp]

    @abstractmethod
    def scores(self, lines: Sequence[JudgedLine], progress: Progress) -> Scores:
        """A number per line, 0 or 1 where the unit is a share; None where it has no verdict.

        Args:
            lines: of one cell.
            progress: told how many more lines are done.
        """

    @abstractmethod
    def about(self, progress: Progress) -> About:
        """What it measures and how well it does on `setting.references`, of which `progress` is told."""

    def shown(self, lines: Sequence[JudgedLine]) -> Sequence[JudgedLine]:
        """The lines of a cell that it looks at: the first so many where it is costly."""
        return lines[: self.setting.costly_lines] if self.costly else lines


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean with a percentile bootstrap interval."""
    return paired_difference([0.0] * len(values), values)


def spoiled(lines: Sequence[JudgedLine], spoil: Callable[[str, random.Random], str | None], seed: int = 0) -> list[JudgedLine]:
    """The lines with one known mistake each, to see whether a judge finds it; a line that can't have it is left out."""
    rng = random.Random(seed)
    changed = [(line, spoil(line.line, rng)) for line in lines]
    return [JudgedLine(line.attributes, text, True, []) for line, text in changed if text is not None and text != line.line]
