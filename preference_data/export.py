"""The store's pairs -> the file that DPO trains on, in TRL's standard prompt/chosen/rejected form, and a manifest beside it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from npc_align.corpus import write_jsonl
from npc_align.errors import UserError
from npc_align.prompt import render
from preference_data.formats import write
from preference_data.judgements import current
from preference_data.outcomes import Outcome, final_outcomes
from preference_data.store import Candidate, Store
from preference_data.tasks import Task, all_tasks

Row = dict[str, Any]


def export(store: Store, output: Path, form: str = "dpo", *, judged_only: bool = False) -> Row:
    """Writes `output` and `<output>.manifest.json`, and returns the manifest.

    What people said of a pair holds; a pair that nobody has judged goes by its machine-made sides, unless `judged_only`. Ties, skips and
    disputed pairs stay out. The manifest is written last: a file without one, or with another hash than its manifest says, isn't whole.

    Raises:
        UserError: no pair that can be exported.
    """
    left_out: Counter[str] = Counter()
    store.check_prompts()
    rows = list(_rows(store, judged_only, left_out))
    if not rows:
        why = ", ".join(f"{reason} {count}" for reason, count in left_out.most_common()) or "the store has no pairs"
        raise UserError(f"nothing to export ({why}); make pairs with: npc-pref pair --store {store.path}")
    manifest_path = output.with_name(output.name + ".manifest.json")
    manifest_path.unlink(missing_ok=True)
    write(rows, output, form)
    manifest = _manifest(store, output, form, rows, left_out)
    # One JSON object is one line of JSONL, so the same writer will do.
    write_jsonl(manifest_path, [manifest])
    return manifest


def _rows(store: Store, judged_only: bool, left_out: Counter[str]) -> Iterator[Row]:
    outcomes, pairing = final_outcomes(store), store.meta("pairing")
    held_out = set(json.loads(store.meta("pairing_hold_out") or "[]"))
    skipped = {task_id for task_id, _, round in current(store) if round == 1 and task_id not in outcomes}
    for task in all_tasks(store):
        outcome = outcomes.get(task.id)
        if outcome is not None:
            sides = _judged(task, outcome)
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
        for chosen, rejected in sides:
            row = _row(store, store.candidate(chosen, store.rules), store.candidate(rejected, store.rules), outcome)
            if row["chosen"].split() == row["rejected"].split():
                left_out["both sides say the same"] += 1
            elif held_out & set(row["reasons"]):
                left_out["breaks a rule held out"] += 1
            else:
                yield row


def _machine_made(task: Task) -> tuple[str, str]:
    """(chosen, rejected) as pairing had them."""
    chosen = task.detail["chosen"]
    return chosen, str(task.second_id if chosen == task.first_id else task.first_id)


def _judged(task: Task, outcome: Outcome) -> list[tuple[str, str]]:
    """(chosen, rejected) by people's word: the line chosen over the other, or a line that they wrote over those that they turned down."""
    if task.mode == "line":
        return [(outcome.edited, task.first_id)] if outcome.choice == "fix" and outcome.edited else []
    first, second = task.first_id, str(task.second_id)
    turned_down = {"first": [second], "second": [first], "both_bad": [first, second]}.get(outcome.choice, [])
    better = outcome.edited or {"first": first, "second": second}.get(outcome.choice)
    return [(better, worse) for worse in turned_down] if better else []


def _row(store: Store, chosen: Candidate, rejected: Candidate, outcome: Outcome | None) -> Row:
    kinds = {v["kind"] for v in rejected.violations or ()}
    tagged = {reason.kind for reason in outcome.reasons} if outcome else set()
    return {
        "prompt": chosen.text or rejected.text or render(chosen.attributes, store.domain),
        "chosen": chosen.line.strip(),
        "rejected": rejected.line.strip(),
        "attributes": chosen.attributes,
        "reasons": sorted(kinds | tagged),
        "chosen_origin": chosen.origin,
        "rejected_origin": rejected.origin,
        "group": chosen.split_group or chosen.prompt_id,
        "judge": "person" if outcome else "auto",
        "judges": sorted(outcome.judges) if outcome else [],
        "domain": {"name": store.domain.name, "hash": store.domain.content_hash},
    }


def _manifest(store: Store, output: Path, form: str, rows: Sequence[Mapping[str, Any]], left_out: Mapping[str, int]) -> Row:
    return {
        "store": store.path.name,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "format": form,
        "output": {"name": output.name, "sha256": sha256(output)},
        "pairs": len(rows),
        "prompts": len({row["prompt"] for row in rows}),
        "kinds": dict(Counter(kind for row in rows for kind in row["reasons"]).most_common()),
        "rejected_origins": dict(Counter(row["rejected_origin"]["kind"] for row in rows).most_common()),
        "judges": dict(Counter(row["judge"] for row in rows).most_common()),
        "left_out": dict(left_out),
        "held_out_kinds": json.loads(store.meta("pairing_hold_out") or "[]"),
        "rules_hash": store.rules,
        "domain": {"name": store.domain.name, "hash": store.domain.content_hash},
    }


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
