"""`npc-eval grid`: models x decodings on the same held-out prompts, and the decoding gap between two of them."""

from __future__ import annotations

import gc
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import click

from npc_align.checks import rules_hash
from npc_align.errors import UserError
from npc_align.evaluation.cells import ModelBench, Progress
from npc_align.evaluation.folder import (
    Cell,
    CellName,
    ChosenOn,
    Difference,
    Headline,
    JudgedLine,
    ModelScore,
    Result,
    Tried,
    lines_file,
    write_result,
)
from npc_align.evaluation.measure import summarise
from npc_align.evaluation.presets import distinct_decodings, search_settings
from npc_align.evaluation.report.write import write_report
from npc_align.evaluation.run import Inputs, Request, content_hash, load_inputs
from npc_align.evaluation.statistics import paired_difference, wilson
from npc_align.modeling.device import choose_device
from npc_align.modeling.generation import Decoding
from npc_align.training.run_folder import versions

Lines = dict[CellName, list[JudgedLine]]


@dataclass(frozen=True)
class Plan:
    """Which model is run under which decoding.

    Attributes:
        decodings: of the tuned and the aligned model; the first is every model's.
        search: so many settings are tried for the tuned model besides; None: its best decoding isn't looked for.
        candidates: tried for the tuned model too; on the held-out prompts only the one chosen is run.
        search_prompts: validation prompts to choose on, at most.
        tuned: label of the model whose best decoding is looked for; the last but one where None.
        aligned: label of the model that is to need none; the last where None.
        all_cells: every model is run under every decoding.
    """

    decodings: tuple[Decoding, ...]
    search: int | None = None
    candidates: tuple[Decoding, ...] = ()
    search_prompts: int = 96
    tuned: str | None = None
    aligned: str | None = None
    all_cells: bool = False


class _Grid:
    """A plan for the models of a request, without decodings that come to the same.

    Raises:
        UserError: a role names no model, or a search has nothing to choose on.
    """

    def __init__(self, request: Request, plan: Plan, inputs: Inputs) -> None:
        labels = [label for label, _ in request.models]
        self.tuned = _role("--tuned", plan.tuned, labels, labels[-2:][0])
        self.aligned = _role("--aligned", plan.aligned, labels, labels[-1])
        self.plan, self.labels = plan, labels
        self.same = distinct_decodings(plan.decodings)
        self.decodings = [d for d in plan.decodings if d.name in self.same]
        self.candidates: list[Decoding] = []
        self.validation = inputs.validation[: plan.search_prompts]
        if plan.search is not None:
            everything = [*self.decodings, *plan.candidates, *search_settings(plan.search)]
            self.candidates = [d for d in everything if d.name in distinct_decodings(everything)]
            if not self.validation:
                raise UserError(
                    "a search chooses on validation prompts, and none is left: every one is among the prompts to answer; "
                    "report on --split test, or leave search out of --decodings"
                )

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The models that are compared: each with the one before it, and the aligned one with the tuned one, wherever they stand."""
        found = list(itertools.pairwise(self.labels))
        named = (self.tuned, self.aligned)
        return found if self.tuned == self.aligned or named in found or named[::-1] in found else [*found, named]

    def of(self, label: str) -> list[Decoding]:
        wide = self.plan.all_cells or label in (self.tuned, self.aligned)
        return self.decodings if wide else self.decodings[:1]

    def progress(self, prompts: int) -> Progress:
        cells = sum(len(self.of(label)) for label in self.labels)
        return Progress(cells + len(self.candidates), cells * prompts + len(self.candidates) * len(self.validation))

    def announce(self) -> None:
        for name, others in self.same.items():
            if others:
                click.echo(f"{name} stands for {', '.join(others)} too: the same decoding, run once", err=True)


def _role(option: str, given: str | None, labels: Sequence[str], otherwise: str) -> str:
    if given is not None and given not in labels:
        raise UserError(f"{option} {given}: no such model; there are: {', '.join(labels)}")
    return given or otherwise


@dataclass(frozen=True)
class _Choice:
    decoding: Decoding
    chosen_on: ChosenOn


def evaluate(request: Request, plan: Plan) -> Result:
    """Measure every cell, write the evaluation folder with its report, and return the result.

    A cell measured before, of the same weights, prompts and decoding, isn't generated again; a killed run loses the cell
    that was under way.

    Raises:
        UserError: no such model, corpus or split, or a plan that can't be.
    """
    inputs, device = load_inputs(request), choose_device()
    grid = _Grid(request, plan, inputs)
    click.echo(f"{device}; {len(inputs.prompts)} prompts, {len(inputs.references)} reference lines", err=True)
    grid.announce()
    progress = grid.progress(len(inputs.prompts))
    scores: dict[str, ModelScore] = {}
    cells: dict[str, list[Cell]] = {}
    lines: Lines = {}
    choice: _Choice | None = None
    # The tuned model comes first: the aligned one is run under what was chosen for it, too.
    for label, path in sorted(request.models, key=lambda model: bool(grid.candidates) and model[0] != grid.tuned):
        bench = ModelBench(label, path, request, inputs, device, progress)
        decodings = list(grid.of(label))
        if grid.candidates and label == grid.tuned:
            choice = _choose(bench, grid, request)
        if choice and label in (grid.tuned, grid.aligned) and choice.decoding not in decodings:
            decodings.append(choice.decoding)
            progress.add(len(inputs.prompts))
        cells[label] = []
        for decoding in decodings:
            file = lines_file(label, decoding.name)
            found = bench.lines(decoding, inputs.prompts, request.output / file)
            lines[CellName(label, decoding.name)] = found
            cells[label].append(_cell(label, decoding, file, found, grid.same.get(decoding.name, ())))
        scores[label] = bench.score()
        del bench
        gc.collect()  # two models at once may be more than the memory holds
    result = Result(
        prompts=len(inputs.prompts),
        prompts_hash=content_hash([inputs.domain.combination(p) for p in inputs.prompts]),
        split=request.split,
        rules=rules_hash(inputs.domain),
        versions=versions(),
        domain=request.domain,
        corpus=str(request.corpus) if request.corpus else None,
        models={label: scores[label] for label in grid.labels},
        cells=[cell for label in grid.labels for cell in cells[label]],
        differences=_differences(grid.pairs, lines),
        headline=_headline(grid, choice, lines) if choice else None,
        seed=request.seed,
    )
    write_result(request.output, result)
    write_report(request.output)
    return result


def _cell(label: str, decoding: Decoding, file: str, lines: Sequence[JudgedLine], also: Sequence[str]) -> Cell:
    return Cell(label, decoding.name, decoding.max_new_tokens, dict(decoding.knobs), file, summarise(lines), list(also))


def _choose(bench: ModelBench, grid: _Grid, request: Request) -> _Choice:
    """The candidate with the fewest bad lines on validation prompts, the earliest of several: default decoding stands first."""
    tried, counts = [], []
    for decoding in grid.candidates:
        file = request.output / "search" / bench.label / f"{decoding.name}.jsonl"
        lines = bench.lines(decoding, grid.validation, file, " on validation prompts")
        counts.append(sum(line.bad for line in lines))
        tried.append(Tried(decoding.name, decoding.max_new_tokens, dict(decoding.knobs), wilson(counts[-1], len(lines))))
    best = counts.index(min(counts))
    chosen_on = ChosenOn("validation", len(grid.validation), tried[best].violations, len(tried), tried)
    return _Choice(grid.candidates[best], chosen_on)


def _headline(grid: _Grid, choice: _Choice, lines: Lines) -> Headline:
    tuned = lines[CellName(grid.tuned, choice.decoding.name)]
    aligned = lines[CellName(grid.aligned, grid.decodings[0].name)]
    return Headline(
        grid.aligned, grid.tuned, choice.decoding.name, choice.chosen_on, paired_difference(_bad(tuned), _bad(aligned))
    )


def _differences(pairs: Sequence[tuple[str, str]], lines: Lines) -> list[Difference]:
    """Each pair of models under the same decoding, and each decoding against the model's first."""
    across = [
        (CellName(before, cell.decoding), cell)
        for before, after in pairs
        for cell in lines
        if cell.model == after and CellName(before, cell.decoding) in lines
    ]
    of_model: dict[str, list[CellName]] = defaultdict(list)
    for cell in lines:
        of_model[cell.model].append(cell)
    within = [(first, other) for first, *others in of_model.values() for other in others]
    return [
        Difference(first, second, **asdict(paired_difference(_bad(lines[first]), _bad(lines[second]))))
        for first, second in across + within
    ]


def _bad(lines: Sequence[JudgedLine]) -> list[bool]:
    return [line.bad for line in lines]
