"""How far the checks can be trusted: their verdicts beside a person's, per kind, and every line on which the two differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from npc_align.checks import check_line
from npc_align.domain import Domain
from npc_align.errors import UserError
from npc_align.korean.speech_level import politeness, sentences
from npc_align.violation import FORM_KINDS, KINDS, WORLD_KINDS

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Score:
    """Counts of one kind over the labelled lines."""

    hits: int
    false_alarms: int
    misses: int

    @property
    def precision(self) -> float:
        return _share(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        return _share(self.hits, self.hits + self.misses)

    @property
    def f1(self) -> float:
        return _share(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


@dataclass
class Report:
    """What a labelled file says of the checks.

    Attributes:
        scores: per kind, over the rows that carry `kinds`.
        good_lines: rows without a labelled violation, and how many of them the checks accuse of anything.
        levels: labelled and found speech level of each sentence, over the rows that carry `levels`; None is written "-".
        sides: the same for a whole line's politeness, over the rows that carry `politeness`.
        disagreements: every line judged otherwise than labelled, with both judgements.
    """

    scores: dict[str, Score] = field(default_factory=dict)
    good_lines: int = 0
    alarmed: int = 0
    levels: Counter[tuple[str, str]] = field(default_factory=Counter)
    sides: Counter[tuple[str, str]] = field(default_factory=Counter)
    disagreements: list[dict[str, Any]] = field(default_factory=list)

    def macro_f1(self) -> float | None:
        """Mean F1 of the form kinds; None where no row carries kinds."""
        form = [self.scores[kind].f1 for kind in FORM_KINDS if kind in self.scores]
        return sum(form) / len(form) if form else None

    def world(self) -> Score:
        """The world kinds' counts together."""
        scores = [self.scores[kind] for kind in WORLD_KINDS if kind in self.scores]
        return Score(sum(s.hits for s in scores), sum(s.false_alarms for s in scores), sum(s.misses for s in scores))

    def to_json(self) -> dict[str, Any]:
        world = self.world()
        return {
            "kinds": {kind: _figures(score) for kind, score in self.scores.items()},
            "form_macro_f1": self.macro_f1(),
            "world": _figures(world) if self.scores else None,
            "good_lines": self.good_lines,
            "good_lines_alarmed": self.alarmed,
            "levels": [{"labelled": a, "found": b, "sentences": n} for (a, b), n in sorted(self.levels.items())],
            "politeness": [{"labelled": a, "found": b, "lines": n} for (a, b), n in sorted(self.sides.items())],
            "disagreements": self.disagreements,
        }


def _figures(score: Score) -> dict[str, float]:
    return {
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "hits": score.hits,
        "false_alarms": score.false_alarms,
        "misses": score.misses,
    }


def checks_report(rows: Iterable[tuple[str, Row]], domain: Domain) -> Report:
    """The checks' verdicts on labelled lines, beside their labels.

    Args:
        rows: where each row stands, and the row: `line` with `attributes` and `kinds` (and `finished`), or `text` with `levels`
            (a level or null per sentence), `politeness` (존댓말, 반말, 혼용, 판단불가), or both.
        domain: the game's world.

    Raises:
        UserError: a row of neither form, or with a kind that there isn't.
    """
    report = Report()
    hits: Counter[str] = Counter()
    false_alarms: Counter[str] = Counter()
    misses: Counter[str] = Counter()
    for place, row in rows:
        if "kinds" in row:
            labelled, found = _kinds(place, row, domain)
            hits.update(labelled & found)
            false_alarms.update(found - labelled)
            misses.update(labelled - found)
            report.good_lines += not labelled
            report.alarmed += bool(found) and not labelled
            _note(report, place, row["line"], sorted(labelled), sorted(found))
        elif "levels" in row or "politeness" in row:
            _speech(report, place, row)
        else:
            raise UserError(f"{place}: a labelled row has line, attributes and kinds, or text with levels or politeness")
    counted = {*hits, *false_alarms, *misses}
    report.scores = {k: Score(hits[k], false_alarms[k], misses[k]) for k in KINDS if k in counted}
    return report


def _kinds(place: str, row: Row, domain: Domain) -> tuple[set[str], set[str]]:
    line, attributes, labelled = row.get("line"), row.get("attributes"), row["kinds"]
    if not isinstance(line, str) or not isinstance(attributes, Mapping):
        raise UserError(f"{place}: a row with kinds has a line and attributes, too")
    if not isinstance(labelled, list) or not set(labelled) <= set(KINDS):
        raise UserError(f"{place}: kinds must be a list of {', '.join(KINDS)}, not {labelled!r}")
    problems = domain.problems(attributes)
    if problems:
        raise UserError(f"{place}: {problems[0]}")
    return set(labelled), {v.kind for v in check_line(line, attributes, domain, finished=row.get("finished", True))}


def _speech(report: Report, place: str, row: Row) -> None:
    text = row.get("text")
    if not isinstance(text, str):
        raise UserError(f"{place}: a row with levels or politeness has a text, too")
    if "levels" in row:
        labelled = [level or "-" for level in row["levels"]]
        found = [sentence.level or "-" for sentence in sentences(text)]
        # Sentences are compared in order; where they were cut otherwise, what is left over stands beside nothing.
        longest = max(len(labelled), len(found))
        report.levels.update(zip(_padded(labelled, longest), _padded(found, longest), strict=True))
        _note(report, place, text, labelled, found)
    if "politeness" in row:
        side = politeness(text)
        report.sides[row["politeness"], side] += 1
        _note(report, place, text, [row["politeness"]], [side])


def _padded(levels: Sequence[str], length: int) -> list[str]:
    return [*levels, *["(none)"] * (length - len(levels))]


def _note(report: Report, place: str, line: str, labelled: list[str], found: list[str]) -> None:
    if labelled != found:
        report.disagreements.append({"where": place, "line": line, "labelled": labelled, "found": found})
