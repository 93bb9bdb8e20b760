"""Write report.html and report.md into an evaluation folder."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from npc_align.checks import rules_hash
from npc_align.domain import Domain, load_domain
from npc_align.evaluation.report import tables
from npc_align.evaluation.report.bounds import bounds_table
from npc_align.evaluation.report.curves import panels
from npc_align.evaluation.report.headline import headline
from npc_align.evaluation.report.judges import shown_judges, skipped_judges
from npc_align.evaluation.report.lines import filters, probe_scenes, sample, script_data
from npc_align.evaluation.report.runs import ShownRun, find_runs, read_run
from npc_align.evaluation.report.source import Evaluation, read_evaluation
from npc_align.evaluation.report.words import Text, difference, interval, kind_name, percent
from npc_align.files import write_text

HTML, MARKDOWN = "report.html", "report.md"


def write_report(folder: Path, runs: Sequence[Path] = ()) -> tuple[Path, Path]:
    """Write the report of an evaluation folder: (report.html, report.md).

    Args:
        folder: what `npc-eval grid` or `npc-eval run` wrote, with judges.json and readings.json where they exist.
        runs: run folders to show besides those that the measured models come from.

    Raises:
        UserError: the folder or a run isn't whole, or the domain is gone.
    """
    evaluation = read_evaluation(folder)
    domain = load_domain(evaluation.result["domain"])
    found = [read_run(name, path, domain) for name, path in find_runs(evaluation.result["models"], runs)]
    view = _view(evaluation, found, domain, folder)
    written = folder / HTML, folder / MARKDOWN
    write_text(written[0], _html().get_template("report.html.j2").render(view))
    write_text(written[1], _markdown().get_template("report.md.j2").render(view))
    return written


def _view(evaluation: Evaluation, runs: Sequence[ShownRun], domain: Domain, folder: Path) -> dict[str, Any]:
    cells, compared = evaluation.main_cells, evaluation.compared
    named = {cell.model for cell in compared}
    finished = time.gmtime((folder / "result.json").stat().st_mtime)
    return {
        "result": evaluation.result,
        "when": time.strftime("%Y-%m-%d %H:%M UTC", finished),
        "headline": headline(evaluation),
        "cells": cells,
        "all_cells": evaluation.cells,
        "order": {label: number for number, label in enumerate(dict.fromkeys(c.model for c in evaluation.cells))},
        "compared": compared,
        "kinds": tables.kinds_by_rate(compared),
        "kinds_top": max((c.rate_of(k)["high"] for c in compared for k in c.summary["by_kind"]), default=1.0),
        "decodings_top": max(c.summary["violations"]["high"] for c in evaluation.cells if c.model in named),
        "judges": shown_judges(evaluation.judges),
        "skipped": skipped_judges(evaluation.judges),
        "readings": evaluation.readings,
        "tables": {
            "bounds": bounds_table(evaluation),
            "cells": tables.cells_table(evaluation),
            "decodings": tables.decodings_table(evaluation),
            "tried": tables.tried_table(evaluation),
            "models": tables.models_table(evaluation),
            "kinds": tables.kinds_table(cells),
            "differences": tables.differences_table(evaluation.result["differences"]),
            "opinions": tables.opinions_table(evaluation),
            "reasons": tables.reasons_table(evaluation.readings),
        },
        "heat_maps": [heat for cell in cells if (heat := tables.heat_map(cell, evaluation.prompts, domain))],
        "runs": [(run, panels(run), tables.checkpoints_table(run), tables.settings_table(run)) for run in runs],
        "probes": probe_scenes(runs, domain),
        "rules_now": rules_hash(domain),
        "sample": sample(evaluation, cells, domain),
        "filters": filters(domain),
        "data": Markup(script_data(evaluation, domain)),
    }


@lru_cache
def _html() -> Environment:
    environment = _environment(autoescape=True)
    environment.filters["both"] = _both
    return environment


@lru_cache
def _markdown() -> Environment:
    environment = _environment(autoescape=False)
    environment.filters["md"] = _plain
    return environment


def _environment(autoescape: bool) -> Environment:
    loader = PackageLoader("npc_align.evaluation.report")
    environment = Environment(
        loader=loader, autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "interval": interval, "difference": difference, "kind": kind_name}
    environment.globals |= {"differences_table": tables.differences_table}
    return environment


def _both(content: str | Text) -> Markup:
    """Both languages, of which the page shows one; what is no text of ours stands as it is."""
    if not isinstance(content, Text):
        return escape(content)
    return Markup('<span lang="ko">{}</span><span lang="en">{}</span>').format(*content)


def _plain(content: str | Text) -> str:
    """Text that Markdown shows as it is, also in a table: its signs and HTML's are escaped, line breaks shown as ⏎."""
    text = f"{content.ko} / {content.en}" if isinstance(content, Text) else content
    return re.sub(r"([\\`*_\[\]<>#|~&!$])", r"\\\1", text).replace("\n", " ⏎ ")
