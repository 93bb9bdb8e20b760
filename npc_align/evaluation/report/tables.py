"""The report's tables: the same cells for the page and for Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from npc_align.domain import Domain
from npc_align.evaluation.report.judges import ShownJudge, shown_judges
from npc_align.evaluation.report.runs import ShownRun
from npc_align.evaluation.report.source import Cell, Evaluation
from npc_align.evaluation.report.words import Text, difference, interval, kind_name, percent

Content = str | Text


@dataclass(frozen=True)
class Table:
    """A table; the first column names the row."""

    header: tuple[Content, ...]
    rows: tuple[tuple[Content, ...], ...]


_MODEL = Text("모델", "model")
_DECODING = Text("디코딩", "decoding")


def cells_table(evaluation: Evaluation) -> Table:
    """Models x decodings: every figure that was measured of the lines."""
    header = (
        _MODEL,
        _DECODING,
        Text("흠 있는 대사", "violation rate"),
        Text("제대로 끝맺음", "end of text"),
        Text("평균 길이(글자)", "mean length (characters)"),
        Text("다른 낱말 (distinct-1)", "distinct-1"),
        Text("다른 두 낱말 (distinct-2)", "distinct-2"),
        Text("다른 첫머리", "distinct openings"),
        Text("다른 대사", "distinct lines"),
    )
    return Table(header, tuple(_cell_row(cell) for cell in evaluation.cells))


def _cell_row(cell: Cell) -> tuple[Content, ...]:
    figures = cell.summary
    shares = (percent(figures[k]) for k in ("distinct_1", "distinct_2", "distinct_openings", "distinct_lines"))
    rates = (interval(figures["violations"]), interval(figures["end_of_text"]))
    return (cell.model, cell.decoding, *rates, f"{figures['mean_length']:.1f}", *shares)


def decodings_table(evaluation: Evaluation) -> Table:
    """What each decoding sets."""
    used = {cell.decoding: cell for cell in evaluation.cells}
    rows: list[tuple[Content, ...]] = [
        (", ".join((name, *cell.also)), _knobs(cell.knobs), str(cell.max_new_tokens)) for name, cell in used.items()
    ]
    return Table((_DECODING, Text("설정", "settings"), Text("최대 새 토큰", "max new tokens")), tuple(rows))


def _knobs(knobs: Mapping[str, Any]) -> Content:
    return ", ".join(f"{k}={v}" for k, v in knobs.items()) or Text("조절 없음 (기본값)", "nothing set (greedy)")


def tried_table(evaluation: Evaluation) -> Table | None:
    """The settings tried on validation prompts for the tuned model, best first; None where none were."""
    found = evaluation.result["headline"]
    if found is None:
        return None
    tried = sorted(found["chosen_on"]["settings"], key=lambda setting: float(setting["violations"]["value"]))
    rows: list[tuple[Content, ...]] = [(t["decoding"], _knobs(t["knobs"]), interval(t["violations"])) for t in tried]
    return Table((_DECODING, Text("설정", "settings"), Text("흠 있는 대사", "violation rate")), tuple(rows))


def models_table(evaluation: Evaluation) -> Table:
    """Loss and perplexity of the reference lines under each model, and where it lies."""
    models = evaluation.result["models"]
    rows: list[tuple[Content, ...]] = [
        (label, f"{m['held_out_loss']:.3f}", f"{m['perplexity']:.1f}", str(m["path"])) for label, m in models.items()
    ]
    loss = Text("기준 대사 손실(토큰당 nats)", "held-out loss (nats per token)")
    return Table((_MODEL, loss, Text("펄플렉서티", "perplexity"), Text("경로", "path")), tuple(rows))


def kinds_table(cells: Sequence[Cell]) -> Table:
    """Share of lines with each kind of violation, most frequent first, one column per model."""
    rows: list[tuple[Content, ...]] = [
        (kind_name(kind), *(interval(cell.rate_of(kind)) for cell in cells)) for kind in kinds_by_rate(cells)
    ]
    return Table((Text("흠의 종류", "kind of violation"), *(cell.model for cell in cells)), tuple(rows))


def kinds_by_rate(cells: Sequence[Cell]) -> list[str]:
    """Kinds that occur in any of the cells, by their highest rate."""
    kinds = dict.fromkeys(kind for cell in cells for kind in cell.summary["by_kind"])
    return sorted(kinds, key=lambda kind: -max(cell.rate_of(kind)["value"] for cell in cells))


def differences_table(rows: Sequence[Mapping[str, Any]], unit: str = "share") -> Table:
    """Second minus first, on the same prompts."""
    header = (Text("비교", "comparison"), Text("차이 (95 % 구간)", "difference (95 % interval)"))
    return Table(header, tuple((f"{_place(r['second'])} − {_place(r['first'])}", difference(r, unit)) for r in rows))


def _place(cell: Mapping[str, str]) -> str:
    return f"{cell['model']}/{cell['decoding']}"


def opinions_table(evaluation: Evaluation) -> Table | None:
    """The rules' rate beside each unseen judge's and the readings', for the cells that anyone but the rules judged; below them what
    each judge says of the corpus' own lines, and how often it is right.
    """
    columns = [_judge_column(judge) for judge in shown_judges(evaluation.judges).values()] + _reading_columns(evaluation.readings)
    if not columns:
        return None
    header = (_MODEL, _DECODING, Text("검사 규칙: 흠 ↓", "rules: violations ↓"), *(column.name for column in columns))
    rows: list[tuple[Content, ...]] = [
        (cell.model, cell.decoding, interval(cell.summary["violations"]), *(c.by.get(_key(cell), "–") for c in columns))
        for cell in evaluation.cells
        if any(_key(cell) in column.by for column in columns)
    ]
    if evaluation.judges:
        rows += [
            (_CORPUS_LINES, "–", "–", *(c.reference for c in columns)),
            (_OWN_ACCURACY, "–", "–", *(c.accuracy for c in columns)),
        ]
    return Table(header, tuple(rows))


_CORPUS_LINES = Text("견줄 값: 말뭉치의 대사", "to compare: the corpus' own lines")
_OWN_ACCURACY = Text("잣대 자신의 정확도", "the judge's own accuracy")


@dataclass(frozen=True)
class _Column:
    name: Text
    by: Mapping[tuple[str, str], str]
    reference: str = "–"
    accuracy: str = "–"


def _judge_column(judge: ShownJudge) -> _Column:
    name = Text(*(f"{text} {judge.arrow}" for text in judge.name))
    return _Column(name, judge.cells, judge.reference, judge.accuracy)


def _reading_columns(readings: Mapping[str, Any] | None) -> list[_Column]:
    if readings is None:
        return []
    by = {(c["model"], c["decoding"]): f"{interval(c['good'])}, n={c['read']}" for c in readings["cells"] if c["good"]}
    return [_Column(Text("사람이 읽고 좋다고 함 ↑", "readers: good ↑"), by)]


def reasons_table(readings: Mapping[str, Any] | None) -> Table | None:
    """How often the readers named each reason, per model; None where they named none."""
    named = Counter((reason, line["model"]) for line in (readings or {"lines": []})["lines"] for reason in line["reasons"])
    models = sorted({model for _, model in named})
    reasons = sorted({reason for reason, _ in named}, key=lambda reason: -max(named[reason, m] for m in models))
    rows: tuple[tuple[Content, ...], ...] = tuple(
        (kind_name(reason), *(str(named[reason, m]) for m in models)) for reason in reasons
    )
    return Table((Text("사람이 든 까닭", "readers' reasons"), *models), rows) if rows else None


def _key(cell: Cell) -> tuple[str, str]:
    return cell.model, cell.decoding


@dataclass(frozen=True)
class Heat:
    """Violations of one model by personality (rows) and class (columns): (bad, all) per place, None where nothing was asked."""

    model: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, int] | None, ...]], ...]


def heat_map(cell: Cell, prompts: Sequence[Mapping[str, Any]], domain: Domain) -> Heat | None:
    """Where a model's violations lie; None where the domain names no personality or no class."""
    across, down = domain.roles.get("class"), domain.roles.get("personality")
    if across is None or down is None:
        return None
    asked = [(p.get(down), p.get(across)) for p in prompts]
    total = Counter(asked)
    bad = Counter(place for place, line in zip(asked, cell.lines, strict=True) if line.violations)
    columns, rows = domain.by_key[across].labels, domain.by_key[down].labels
    counted = tuple(
        (str(label), tuple((bad[r, c], total[r, c]) if total[r, c] else None for c in columns)) for r, label in rows.items()
    )
    return Heat(cell.model, f"{down} \\ {across}", tuple(map(str, columns.values())), counted)


# Logged at every evaluation where the run began with one: how far it has drifted since.
_DRIFT = (
    ("eval_displacement", Text("고른 대사 로그확률이 내린 폭", "fall of chosen log-probability"), "{:+.2f}"),
    ("eval_length_drift", Text("길이 변화", "change of length"), "{:+.1%}"),
    ("eval_diversity_loss", Text("다양성 감소", "loss of diversity"), "{:+.1%}"),
)


def checkpoints_table(run: ShownRun) -> Table:
    """What was measured at each evaluation during training; the checkpoint that was kept is marked."""
    header = (
        Text("스텝", "step"),
        Text("따로 둔 대사의 손실", "held-out loss"),
        Text("흠 있는 대사", "violation rate"),
        Text("다른 대사", "distinct lines"),
        Text("끝맺지 못함", "unfinished"),
        *(name for _, name, _ in _DRIFT),
    )
    rows = [_checkpoint_row(row, run.best) for row in run.run.evaluations]
    return Table(header, tuple(rows))


def _checkpoint_row(row: Mapping[str, Any], best: int) -> tuple[Content, ...]:
    step = Text(f"{row['step']} ✔ 고른 것", f"{row['step']} ✔ kept") if row["step"] == best else str(row["step"])
    shares = ("eval_violation_rate", "eval_distinct_lines", "eval_unfinished")
    drift = (form.format(row[k]) if k in row else "–" for k, _, form in _DRIFT)
    return (step, f"{row['eval_loss']:.3f}", *(percent(row[k]) if k in row else "–" for k in shares), *drift)


def settings_table(run: ShownRun) -> Table:
    """The run's config and manifest, one dotted key per row."""
    settings = {**run.run.config, **{f"manifest.{k}": v for k, v in run.run.manifest.items()}}
    return Table(
        (Text("항목", "key"), Text("값", "value")), tuple((k, "–" if v is None else str(v)) for k, v in settings.items())
    )
