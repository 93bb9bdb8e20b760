"""The audit trail of a task: where its lines came from, what the rules and the people said, and what was taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from npc_align.errors import UserError
from preference_data.judgements import Event, Judgement, adjudications, events
from preference_data.store import Store
from preference_data.tasks import Task, all_tasks

Trail = dict[str, Any]
_SHORTEST = 4  # characters of an id that a person may give instead of all of it


def find_tasks(
    store: Store, *, task: str | None = None, candidate: str | None = None, pair: Sequence[str] | None = None
) -> list[Task]:
    """The tasks of this id, or with this line, or with these two; the beginning of an id will do.

    Raises:
        UserError: nothing of that id, or several things.
    """
    if task is not None:
        return all_tasks(store, "id = ?", (_whole_id(store, "task", task),))
    ids = [_whole_id(store, "candidate", given) for given in pair or [str(candidate)]]
    found = all_tasks(store, " AND ".join("? IN (first_id, coalesce(second_id, ''))" for _ in ids), tuple(ids))
    if not found:
        raise UserError(
            f"{store.path}: {' and '.join(ids)}: in no task together" if pair else f"{store.path}: {ids[0]}: in no task"
        )
    return found


def _whole_id(store: Store, table: str, start: str) -> str:
    if len(start) < _SHORTEST or not all(c in "0123456789abcdef" for c in start):
        raise UserError(f"{start!r} is no id; an id has 20 of the digits 0-9a-f, and its first {_SHORTEST} or more will do")
    rows = store.db.execute(f"SELECT id FROM {table} WHERE id >= ? AND id < ? LIMIT 2", (start, start + "g")).fetchall()
    if len(rows) != 1:
        what = f"no {table} has this id" if not rows else f"several {table}s begin so; give more of the id"
        raise UserError(f"{store.path}: {start}: {what}")
    return str(rows[0][0])


def trail(store: Store, task: Task) -> Trail:
    """All that is known of a task, ready for JSON."""
    history = list(events(store, "task_id = ?", (task.id,), undone=True))
    undone = {event.undoes: event.id for event in history if event.kind == "undo"}
    last_word = adjudications(store).get(task.id)
    assigned = store.db.execute("SELECT annotator, round FROM assignment WHERE task_id = ? ORDER BY annotator, round", (task.id,))
    return {
        "task": task.id,
        "mode": task.mode,
        "detail": dict(task.detail),
        "attributes": json.loads(store.db.execute("SELECT attributes FROM prompt WHERE id = ?", (task.prompt_id,)).fetchone()[0]),
        "lines": {
            side: _line(store, candidate_id)
            for side, candidate_id in (("first", task.first_id), ("second", task.second_id))
            if candidate_id is not None
        },
        "assigned": [{"annotator": annotator, "round": round} for annotator, round in assigned],
        "events": [_told(store, event, undone.get(event.id)) for event in history],
        "adjudication": None if last_word is None else last_word.id,
    }


def _line(store: Store, candidate_id: str) -> Trail:
    candidate = store.candidate(candidate_id, store.rules)
    verdicts = store.db.execute("SELECT rules, violations FROM verdict WHERE candidate_id = ? ORDER BY rules", (candidate_id,))
    return {
        "candidate": candidate_id,
        "line": candidate.line,
        "origin": dict(candidate.origin),
        "finished": candidate.finished,
        "verdicts": [
            {"rules": rules, "today": rules == store.rules, "violations": json.loads(found)} for rules, found in verdicts
        ],
    }


def _told(store: Store, event: Event, undone_by: str | None) -> Trail:
    told: Trail = {
        "event": event.id,
        "at": event.at,
        "annotator": event.annotator,
        "round": event.round,
        "kind": event.kind,
        "undone_by": undone_by,
    }
    if event.judgement is None:
        return {**told, "undoes": event.undoes}
    return {**told, **_judged(store, event.judgement)}


def _judged(store: Store, judgement: Judgement) -> Trail:
    told = asdict(judgement)
    if judgement.edited is not None:
        row = store.db.execute("SELECT line FROM candidate WHERE id = ?", (judgement.edited,)).fetchone()
        told["edited_line"] = None if row is None else row[0]
    return told


# --- For reading


def readable(told: Trail) -> str:
    """The trail as text."""
    lines = [f"{told['mode']} task {told['task']}"]
    lines += ["  " + ", ".join(f"{key}: {value}" for key, value in told["attributes"].items())]
    if told["detail"]:
        lines.append(f"  made: {_flat(told['detail'])}")
    for side, line in told["lines"].items():
        lines += [f"{side}: {line['line']}", f"  candidate {line['candidate']}, origin: {_flat(line['origin'])}"]
        lines += [f"  {_verdict(verdict)}" for verdict in line["verdicts"]] or ["  no verdict yet"]
    if told["assigned"]:
        lines.append("assigned to: " + ", ".join(f"{a['annotator']} (round {a['round']})" for a in told["assigned"]))
    lines.append(f"{len(told['events'])} events" + (":" if told["events"] else ""))
    lines += [f"  {_event_text(event, told['adjudication'])}" for event in told["events"]]
    return "\n".join(lines)


def _flat(mapping: Trail) -> str:
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}" for key, value in mapping.items()
    )


def _verdict(verdict: Trail) -> str:
    kinds = ", ".join(f"{v['kind']} {v['start']}-{v['end']}" for v in verdict["violations"]) or "nothing wrong"
    return f"rules {verdict['rules']}{' (today)' if verdict['today'] else ''}: {kinds}"


def _event_text(event: Trail, last_word: str | None) -> str:
    who = f"{event['at']} {event['annotator']}, round {event['round']}:"
    if event["kind"] == "undo":
        return f"{who} took back {event['undoes']}"
    said = "adjudicated" if event["kind"] == "adjudicate" else "judged"
    parts = [f"{said} {event['choice']}"]
    parts += [f"{r['side']} {r['kind']}" + ("" if r["start"] is None else f" {r['start']}-{r['end']}") for r in event["reasons"]]
    parts += ["flagged"] * event["flag"] + ["hints on"] * event["hints"]
    parts += [f"note {event['note']!r}"] * bool(event["note"]) + [f"wrote {event.get('edited_line')!r}"] * bool(event["edited"])
    parts += [] if event["seconds"] is None else [f"in {event['seconds']:.1f} s"]
    parts += [f"taken back by {event['undone_by']}"] * (event["undone_by"] is not None)
    parts += ["the last word"] * (event["event"] == last_word)
    return f"{who} {', '.join(parts)} [{event['event']}]"
