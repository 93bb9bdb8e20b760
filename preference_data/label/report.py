"""Sentences about a session that the screen and the plain prompts share."""

from __future__ import annotations

import time

from preference_data.label.hints import Hints
from preference_data.label.items import Saved
from preference_data.label.queue import count_tasks, people_with_tasks
from preference_data.label.session import Session
from preference_data.label.texts import Texts


def progress(session: Session, texts: Texts) -> str:
    percent = round(100 * session.done / max(1, session.total))
    parts = [session.annotator, texts("progress", done=session.done, total=session.total, percent=percent)]
    if session.pace is not None and session.seconds_left is not None:
        parts.append(texts("pace", pace=texts.duration(session.pace)))
        parts.append(texts("remaining", time=texts.duration(session.seconds_left)))
    return " · ".join(parts)


def saved(what: Saved, texts: Texts) -> str:
    return texts("saved", time=time.strftime("%H:%M:%S", time.localtime(what.at)), choice=texts.choice(what.choice))


def draft_lines(session: Session, texts: Texts) -> list[str]:
    """What has been said of the item before the choice."""
    item, draft, lines = session.item, session.draft, []
    if item is None:
        return []
    if draft.flag:
        lines.append(texts("flagged"))
    reasons = []
    for reason in draft.reasons:
        index = item.sides.index(reason.side)
        place = texts("whole_line") if reason.start is None else f"‘{item.lines[index].line[reason.start : reason.end]}’"
        reasons.append(f"{label(session, index, texts)} {texts.kind(reason.kind).split(' (')[0]} {place}")
    if reasons:
        lines.append(texts("reasons", reasons=" · ".join(reasons)))
    if draft.written is not None:
        lines.append(texts("edited", line=draft.written))
    return lines


def hint_lines(hints: Hints | None, index: int, texts: Texts) -> str:
    """What stands below a line when hints are asked for; None while the checker is at work."""
    if hints is None:
        return texts("hints_wait")
    found = [texts("hint", kind=texts.kind(h["kind"]).split(" (")[0], message=h["message"]) for h in hints[index]]
    return "\n".join(found) or texts("hints_none")


def label(session: Session, index: int, texts: Texts) -> str:
    """What the line at this place is called."""
    return "AB"[index] if session.item is None or session.item.mode == "pair" else texts("line_single")


def ending(session: Session, texts: Texts) -> list[str]:
    """How it ended: what was judged, and what to run next."""
    store, path = session.store, session.store.path
    other = "line" if session.mode == "pair" else "pair"
    lines = [_why(session, texts), "", texts("end_counts", annotator=session.annotator, made=session.made, done=session.done), ""]
    if session.limit_reached:
        lines.append(texts("end_more", command=again(session, session.mode)))
    if session.command:
        return lines  # whose lines these are, and what becomes of them, the other command knows
    if session.total == 0:
        lines.append(
            texts("end_name", store=path) if people_with_tasks(store) else texts("end_make", store=path, mode=session.mode)
        )
    elif not session.limit_reached:
        lines += [texts("end_merge", store=path), texts("end_export", store=path)]
    waiting = count_tasks(store, other)
    if waiting:
        lines.append(texts("end_other_mode", count=waiting, command=again(session, other)))
    return lines


def goodbye(session: Session, texts: Texts) -> str:
    """What is said when a person leaves before the end."""
    left, command = session.total - session.done, again(session, session.mode)
    return texts("goodbye", made=session.made, left=left, store=session.store.path, command=command)


def again(session: Session, mode: str) -> str:
    """The command that goes on as the same person: another name would see another order, and judge everything anew."""
    words = list(session.command or ("npc-pref", "label", "--store", str(session.store.path)))
    words += ["--annotator", session.annotator]
    words += ["--mode", mode] if mode != "pair" and not session.command else []
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def _why(session: Session, texts: Texts) -> str:
    if session.limit_reached:
        return texts("end_limit", count=session.limit)
    if session.total:
        return texts("end_all")
    people = people_with_tasks(session.store)
    return texts("end_not_assigned", annotator=session.annotator, people=", ".join(people)) if people else texts("end_none")
