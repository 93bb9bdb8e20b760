"""From the store's checked lines to its pair tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from npc_align.errors import UserError
from npc_align.violation import KINDS
from preference_data.outcomes import final_outcomes
from preference_data.pairs import Limits, Line, Pair, PromptLines, build_pairs
from preference_data.prompts import held_out_prompts
from preference_data.store import Candidate, Store, content_id, to_json
from preference_data.tasks import add_tasks, all_tasks, replace_pairs

# Lines that may stand on the good side without a person's word: somebody wrote them for these attributes.
_WRITTEN = ("corpus", "edited")
# The rules' candidates that may stand on the bad side; what the corpus itself has wrong is for its editors to mend.
_REJECTABLE = ("sampled", "corrupted", "imported")


def pair_store(
    store: Store, limits: Limits, hold_out: Collection[str] = (), corpus: Path | None = None, seed: int = 0
) -> dict[str, Any]:
    """Sets the store's machine-made pair tasks, and returns the report of `build_pairs`.

    Tasks of an earlier pairing that nobody has judged or been assigned make way; the others stay.

    Args:
        hold_out: kinds of violation that take no part, so that an evaluation has judges that the pairs never saw.
        corpus: whose validation and test prompts give no pairs; default: the domain's own.

    Raises:
        UserError: an unknown kind, candidates that haven't been checked by today's rules, or no pairs.
    """
    unknown = sorted(set(hold_out) - set(KINDS))
    if unknown:
        raise UserError(f"--hold-out {', '.join(unknown)}: no such kind; there are: {', '.join(KINDS)}")
    rules = store.rules
    _require_checked(store)
    store.check_prompts()
    pairs, report = build_pairs(_prompts(store, rules, frozenset(hold_out), held_out_prompts(corpus, store.domain)), limits, seed)
    made = [(p.prompt_id, p.chosen.id, p.rejected.id, _detail(p)) for p in pairs]
    pairing = replace_pairs(store, made, {"pairing_hold_out": to_json(sorted(hold_out))})
    stayed = len([t for t in all_tasks(store, "mode = 'pair' AND NOT retired") if t.detail.get("pairing") not in (None, pairing)])
    return {**report, "held_out_kinds": sorted(hold_out), "judged_tasks_of_earlier_pairings": stayed}


def line_tasks(store: Store, limit: int | None = None, corpus: Path | None = None) -> int:
    """Adds tasks to judge sampled and imported lines one by one, and returns how many are new.

    Lines that the rules find nothing wrong with come first: what a person finds in them, only a person finds.

    Raises:
        UserError: candidates that haven't been checked by today's rules.
    """
    _require_checked(store)
    store.check_prompts()
    kept_back = {content_id(combination) for combination in held_out_prompts(corpus, store.domain)}
    wanted = "json_extract(c.origin, '$.kind') IN ('sampled', 'imported')"
    lines = [c for c in store.candidates(store.rules, wanted) if c.prompt_id not in kept_back and c.line.strip()]
    lines.sort(key=lambda c: (bool(c.violations), content_id("order", c.id)))
    return add_tasks(store, ((c.prompt_id, c.id, None, {"made_by": "npc-pref pair --mode line"}) for c in lines[:limit]))


def _require_checked(store: Store) -> None:
    unchecked = store.unchecked(store.rules)
    if unchecked:
        raise UserError(
            f"{unchecked} candidates have not been checked by today's rules ({store.rules}); run: npc-pref check --store {store.path}"
        )


def _detail(pair: Pair) -> dict[str, Any]:
    return {"made_by": "npc-pref pair", "chosen": pair.chosen.id, "reasons": list(pair.reasons)}


def _prompts(store: Store, rules: str, held_out: frozenset[str], set_aside: frozenset[str]) -> Iterator[PromptLines]:
    """The prompts that may train, one at a time: only their own lines are in memory."""
    good, bad = _approved(store)
    kept_back = {content_id(combination) for combination in set_aside}
    for prompt_id, own in groupby(store.candidates(rules), key=lambda c: c.prompt_id):
        if prompt_id in kept_back:
            continue
        lines: dict[bool, list[Line]] = defaultdict(list)
        personality = ""
        for candidate in own:
            personality = str(store.domain.role(candidate.attributes, "personality"))
            found = {v["kind"] for v in candidate.violations or ()}
            kinds = tuple(sorted(found - held_out))
            side = _side(candidate, kinds, good, bad)
            # A line that also breaks a rule held out would teach what evaluation is to judge by.
            if side is not None and not (side is False and found & held_out):
                corrupted = candidate.origin["kind"] == "corrupted"
                lines[side].append(Line(candidate.id, candidate.line, kinds, corrupted))
        yield PromptLines(prompt_id, personality, tuple(lines[True]), tuple(lines[False]))


def _side(candidate: Candidate, kinds: Collection[str], good: Collection[str], bad: Collection[str]) -> bool | None:
    """True for a good line, False for a bad one, None for one of which neither is known."""
    if candidate.id in good:
        return True
    if candidate.origin["kind"] in _WRITTEN:
        return True if not kinds and candidate.id not in bad else None
    # A pair needs its reasons: a line that only a person finds bad makes a pair when that person compares it.
    return False if kinds and candidate.origin["kind"] in _REJECTABLE else None


def _approved(store: Store) -> tuple[set[str], set[str]]:
    """Candidates that people called good, and those that they called bad, one by one."""
    good: set[str] = set()
    bad: set[str] = set()
    single = {task.id: task.first_id for task in all_tasks(store, "mode = 'line'")}
    for task_id, outcome in final_outcomes(store).items():
        if task_id in single and outcome.choice in ("good", "bad", "fix"):
            (good if outcome.choice == "good" else bad).add(single[task_id])
    return good, bad
