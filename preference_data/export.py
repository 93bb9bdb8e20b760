"""The store's pairs -> the file that DPO trains on, in TRL's standard prompt/chosen/rejected form, a manifest and a datasheet beside it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from npc_align.corpus import AUGMENTED, write_jsonl
from npc_align.errors import UserError
from npc_align.files import write_text
from npc_align.preferences import manifest_file
from npc_align.prompt import render
from preference_data.agreement import ALL, Group, agreement
from preference_data.datasheet import datasheet
from preference_data.formats import UNPAIRED, is_pair, to_kto, write
from preference_data.judgements import current
from preference_data.outcomes import Outcome, final_outcomes
from preference_data.store import Candidate, Store
from preference_data.tasks import Task, all_tasks

Row = dict[str, Any]
Sides = tuple[str | None, str | None]  # candidate ids: chosen or good, rejected or bad


def export(store: Store, output: Path, form: str = "dpo", *, judged_only: bool = False) -> Row:
    """Writes `output`, `<output>.manifest.json` and `<output>.datasheet.md`, and returns the manifest.

    What people said of a pair holds; a pair that nobody has judged goes by its machine-made sides, unless `judged_only`. Ties, skips and
    disputed pairs stay out. Lines that people called good or bad by themselves go into the formats that need no pair (formats.UNPAIRED).
    The manifest is written last: a file without one, or with another hash than its manifest says, isn't whole.

    Raises:
        UserError: nothing that can be exported in this format.
    """
    left_out: Counter[str] = Counter()
    store.check_prompts()
    rows = list(_rows(store, judged_only, form in UNPAIRED, left_out))
    if form == "kto" and (cut_off := sum(row["rejected_finished"] is False for row in rows)):
        left_out["rejected line was cut off"] = cut_off
    if not (to_kto(rows) if form == "kto" else rows):
        raise UserError(_nothing(store, form, left_out))
    manifest_path = manifest_file(output)
    manifest_path.unlink(missing_ok=True)
    written = write(rows, output, form)
    manifest = _manifest(store, output, form, rows, left_out) | {"rows": written, "judged_only": judged_only}
    write_text(output.with_name(output.name + ".datasheet.md"), datasheet(manifest))
    # One JSON object is one line of JSONL, so the same writer will do.
    write_jsonl(manifest_path, [manifest])
    return manifest


def _nothing(store: Store, form: str, left_out: Mapping[str, int]) -> str:
    why = ", ".join(f"{reason} {count}" for reason, count in Counter(left_out).most_common()) or "the store has no pairs"
    told = f"nothing to export ({why}); "
    if form not in UNPAIRED and {"good", "bad"} & left_out.keys():
        formats = " or ".join(sorted(UNPAIRED))
        told += f"lines judged one by one make no pairs unless they are mended: choose --format {formats}, or "
    return f"{told}make pairs with: npc-pref pair --store {store.path}"


def _rows(store: Store, judged_only: bool, unpaired: bool, left_out: Counter[str]) -> Iterator[Row]:
    outcomes, pairing = final_outcomes(store), store.meta("pairing")
    held_out = set(json.loads(store.meta("pairing_hold_out") or "[]"))
    skipped = {task_id for task_id, _, round in current(store) if round == 1 and task_id not in outcomes}
    for task in all_tasks(store):
        outcome = outcomes.get(task.id)
        sides: list[Sides]
        if outcome is not None:
            sides = _judged(task, outcome) or (_one_by_one(task, outcome) if unpaired else [])
            objection = outcome.choice
        elif task.id in skipped:
            sides, objection = [], "skip"
        elif task.mode == "line":
            continue
        else:
            chosen_now = task.detail.get("pairing") == pairing is not None
            sides = [_machine_made(task)] if chosen_now and not judged_only else []
            objection = "not judged"
        if not sides:
            left_out[objection] += 1
        for side in sides:
            chosen, rejected = (
                None if candidate_id is None else store.candidate(candidate_id, store.rules) for candidate_id in side
            )
            row = _row(store, task, chosen, rejected, outcome)
            if (row["chosen"] or "").split() == (row["rejected"] or "").split():
                left_out["both sides say the same"] += 1
            elif chosen and not chosen.finished:
                left_out["chosen line was cut off"] += 1
            elif held_out & set(row["reasons"]):
                left_out["breaks a rule held out"] += 1
            else:
                yield row


def _machine_made(task: Task) -> Sides:
    """(chosen, rejected) as pairing had them."""
    chosen = task.detail["chosen"]
    return chosen, str(task.second_id if chosen == task.first_id else task.first_id)


def _judged(task: Task, outcome: Outcome) -> list[Sides]:
    """(chosen, rejected) by people's word: the line chosen over the other, or a line that they wrote over those that they turned down."""
    if task.mode == "line":
        return [(outcome.edited, task.first_id)] if outcome.choice == "fix" else []
    first, second = task.first_id, str(task.second_id)
    turned_down = {"first": [second], "second": [first], "both_bad": [first, second]}.get(outcome.choice, [])
    better = outcome.edited or {"first": first, "second": second}.get(outcome.choice)
    return [(better, worse) for worse in turned_down] if better else []


def _one_by_one(task: Task, outcome: Outcome) -> list[Sides]:
    """(good line, None) and (None, bad line), where people spoke of lines by themselves: a line they wrote beside a tie is a good one."""
    if outcome.choice == "good":
        return [(task.first_id, None)]
    if outcome.choice in ("bad", "both_bad"):
        return [(None, side) for side in (task.first_id, task.second_id) if side is not None]
    return [(outcome.edited, None)] if outcome.choice == "tie" and outcome.edited else []


def _row(store: Store, task: Task, chosen: Candidate | None, rejected: Candidate | None, outcome: Outcome | None) -> Row:
    there = [candidate for candidate in (chosen, rejected) if candidate is not None]
    of = there[0]
    kinds = {v["kind"] for v in rejected.violations or ()} if rejected else set()
    side = {"first": task.first_id, "second": task.second_id}
    tagged = {reason.kind for reason in outcome.reasons if rejected and side[reason.side] == rejected.id} if outcome else set()
    return {
        "prompt": next((c.text for c in there if c.text), None) or render(of.attributes, store.domain),
        "chosen": chosen and chosen.line.strip(),
        "rejected": rejected and rejected.line.strip(),
        "rejected_finished": rejected and rejected.finished,
        "attributes": of.attributes,
        "reasons": sorted(kinds | tagged),
        "chosen_origin": chosen and chosen.origin,
        "rejected_origin": rejected and rejected.origin,
        "group": of.split_group or of.prompt_id,
        "judge": "person" if outcome else "auto",
        "judges": sorted(outcome.judges) if outcome else [],
        "domain": {"name": store.domain.name, "hash": store.domain.content_hash},
    }


def _manifest(store: Store, output: Path, form: str, rows: Sequence[Row], left_out: Mapping[str, int]) -> Row:
    pairs = [row for row in rows if is_pair(row)]
    return {
        "store": store.path.name,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "format": form,
        "output": {"name": output.name, "sha256": sha256(output)},
        "pairs": len(pairs),
        "lines": dict(Counter("good" if row["chosen"] is not None else "bad" for row in rows if not is_pair(row))),
        **_form_counts(form, rows),
        "prompts": len({row["prompt"] for row in rows}),
        "groups": len({row["group"] for row in rows}),
        "kinds": dict(Counter(kind for row in rows for kind in row["reasons"]).most_common()),
        "chosen_origins": _origins(rows, "chosen_origin"),
        "rejected_origins": _origins(rows, "rejected_origin"),
        "judges": dict(Counter(row["judge"] for row in rows).most_common()),
        "annotators": dict(Counter(name for row in rows for name in row["judges"]).most_common()),
        "agreement": {mode: _agreement(groups[ALL]) for mode, groups in agreement(store).items()},
        "left_out": dict(left_out),
        "held_out_kinds": json.loads(store.meta("pairing_hold_out") or "[]"),
        "rules_hash": store.rules,
        "domain": {"name": store.domain.name, "hash": store.domain.content_hash},
    }


def _form_counts(form: str, rows: Sequence[Row]) -> Row:
    """What there is to count in one format only: KTO's labels, or elsewhere the cut-off lines that KTO leaves out."""
    if form == "kto":
        return {"labels": dict(Counter("true" if row["label"] else "false" for row in to_kto(rows)))}
    return {"rejected_cut_off": sum(row["rejected_finished"] is False for row in rows)}


def _origins(rows: Iterable[Row], side: str) -> dict[str, int]:
    """How many lines of each kind; counterfactual copies of corpus lines by themselves, since nobody wrote them for their attributes."""
    origins = (row[side] for row in rows if row[side] is not None)
    return dict(Counter("augmented" if AUGMENTED in origin else origin["kind"] for origin in origins).most_common())


def _agreement(group: Group) -> Row:
    """Over all judged tasks of the store, exported or not: what was left out as disputed is what an agreement has to tell of."""
    return {
        "tasks": group.tasks,
        "raw": asdict(group.raw),
        "alpha": asdict(group.alpha),
        "self_consistency": asdict(group.self_consistency.overall),
    }


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
