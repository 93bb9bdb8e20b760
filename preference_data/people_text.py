"""Agreement and statistics as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from preference_data.agreement import Figure, Group, Shares


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns that line up where names are Hangul, too: the first to the left, numbers to the right."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def padded(cell: str, i: int) -> str:
        space = " " * (widths[i] - cell_len(cell))
        return cell + space if i == 0 else space + cell

    return "\n".join("  ".join(padded(cell, i) for i, cell in enumerate(row)).rstrip() for row in rows)


def figure(found: Figure, percent: bool = True) -> str:
    if found.value is None:
        return f"{found.why} (n={found.n})"
    values = [v for v in (found.value, found.low, found.high) if v is not None]
    shown = [f"{v:.0%}" if percent else f"{round(v, 2) + 0.0:.2f}" for v in values]
    return shown[0] + (f" [{shown[1]}, {shown[2]}]" if len(shown) > 1 else "") + f" (n={found.n})"


_READING = (
    "alpha and kappa: 1 is perfect, 0 is chance, below 0 is worse than chance. Krippendorff asks for 0.8, and for 0.667 where conclusions are "
    "tentative.\nleft chosen: far from 50% means that the place on the screen, not the line, decides."
)


def agreement_text(found: Mapping[str, Mapping[str, Group]]) -> str:
    return "\n\n".join([*(_mode_text(mode, groups) for mode, groups in found.items()), *([_READING] if found else [])])


def _mode_text(mode: str, groups: Mapping[str, Group]) -> str:
    header = [f"mode {mode}", "tasks", "agreement", "alpha", "self-consistency"] + ["left chosen"] * (mode == "pair")
    rows = [header, *(_group_row(kind, group, mode) for kind, group in groups.items())]
    whole = next(iter(groups.values()))
    people = [["annotator", "self-consistency"] + ["left chosen"] * (mode == "pair")]
    for name in sorted({*whole.self_consistency.by_annotator, *whole.left.by_annotator}):
        people.append([name, _own(whole.self_consistency, name)] + [_own(whole.left, name)] * (mode == "pair"))
    pairs = [["kappa", ""], *([f"{a}, {b}", figure(k, percent=False)] for a, row in whole.kappa.items() for b, k in row.items())]
    return "\n\n".join(table(part) for part in (rows, people, pairs) if len(part) > 1)


def _group_row(kind: str, group: Group, mode: str) -> list[str]:
    alpha = figure(group.alpha, percent=False)
    row = [kind, str(group.tasks), figure(group.raw), alpha, figure(group.self_consistency.overall)]
    return row + [figure(group.left.overall)] * (mode == "pair")


def _own(shares: Shares, name: str) -> str:
    return figure(shares.by_annotator[name]) if name in shares.by_annotator else "-"


def stats_text(found: Mapping[str, Any], store_path: Path) -> str:
    parts = [_paces(found["annotators"]), _balance(found["judged"]), _checks(found["checks"])]
    if found["labelled_but_unchecked"]:
        parts.append(
            f"{found['labelled_but_unchecked']} lines that people labelled have no verdict by today's rules; "
            f"run: npc-pref check --store {store_path}"
        )
    return "\n\n".join(filter(None, parts)) or "Nobody has been assigned a task or judged one; start with: npc-pref label"


def _paces(paces: Mapping[str, Any]) -> str:
    if not paces:
        return ""
    rows = [["annotator", "done", "of", "judgements", "median seconds", "active hours", "per hour"]]
    for name, p in paces.items():
        seconds, per_hour = (("-" if v is None else f"{v:.{d}f}") for v, d in ((p.seconds, 1), (p.per_hour, 0)))
        rows.append([name, str(p.done), str(p.tasks), str(p.judgements), seconds, f"{p.hours:.1f}", per_hour])
    return table(rows)


def _balance(judged: Mapping[str, Mapping[str, int]]) -> str:
    rows = [
        f"{name}: {', '.join(f'{value} {count}' for value, count in counts.items())}" for name, counts in judged.items() if counts
    ]
    return "\n".join(["Judged tasks by", *rows]) if rows else ""


def _checks(checks: Mapping[str, Any]) -> str:
    if not checks:
        return ""
    rows = [["check against people", "right", "false alarms", "missed", "precision", "recall"]]
    for kind, c in checks.items():
        rows.append([kind, str(c.right), str(c.false_alarms), str(c.missed), figure(c.precision), figure(c.recall)])
    examples = []
    for kind, c in checks.items():
        for name, lines in (("false alarm", c.false_alarm_examples), ("missed", c.missed_examples)):
            examples += [f"{kind}, {name}: {line} ({candidate_id})" for candidate_id, line in lines]
    return "\n".join([table(rows), *([""] if examples else []), *examples])
