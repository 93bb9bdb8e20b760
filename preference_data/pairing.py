"""From the store's checked lines to its pair tasks."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from npc_align.checks.results import claims
from npc_align.domain import Domain
from npc_align.errors import UserError
from npc_align.violation import KINDS
from preference_data.judgements import standing_edits
from preference_data.likelihoods import Margins
from preference_data.outcomes import final_outcomes
from preference_data.pairs import (
    CORPUS,
    CORRUPTED,
    EARLIER,
    IMPORTED,
    ON_POLICY,
    WRITTEN,
    Limits,
    Line,
    Pair,
    PromptLines,
    build_pairs,
)
from preference_data.prompts import held_out_prompts
from preference_data.store import Candidate, Store, content_id, to_json
from preference_data.tasks import add_tasks, all_tasks, replace_pairs

# The rules' candidates that may stand on the bad side; what the corpus itself has wrong is for its editors to mend.
_REJECTABLE = ("sampled", "corrupted", "imported")


# Margins of (chosen, rejected) candidates: `likelihoods.pair_margins` for some model.
Scorer = Callable[[Sequence[tuple[str, str]]], Margins]


def pair_store(
    store: Store,
    limits: Limits,
    hold_out: Collection[str] = (),
    corpus: Path | None = None,
    seed: int = 0,
    scorer: Scorer | None = None,
    own_lines: bool = True,
) -> dict[str, Any]:
    """Sets the store's machine-made pair tasks, and returns the report of `build_pairs`.

    Tasks of an earlier pairing that nobody has judged or been assigned make way; the others stay.

    Args:
        hold_out: kinds of violation that take no part, so that an evaluation has judges that the pairs never saw.
        corpus: whose validation and test prompts give no pairs; default: the domain's own.
        scorer: where given, the pairs with the smallest margins are shown first; else they are shown in the prompts' order.
        own_lines: chosen are what the model sampled last says when it draws, where no rule finds anything; corruptions stay out,
            since they are corpus lines but for their mistake; else chosen are corpus lines.

    Raises:
        UserError: an unknown kind, candidates that haven't been checked by today's rules, nothing that may be chosen, or no pairs.
    """
    unknown = sorted(set(hold_out) - set(KINDS))
    if unknown:
        raise UserError(f"--hold-out {', '.join(unknown)}: no such kind; there are: {', '.join(KINDS)}")
    _require_checked(store)
    store.check_prompts()
    policy = _newest_policy(store)
    prompts = list(_prompts(store, policy, frozenset(hold_out), held_out_prompts(corpus, store.domain), own_lines))
    if not any(prompt.good for prompt in prompts):
        raise UserError(_nothing_to_choose(store, policy, own_lines))
    pairs, report = build_pairs(prompts, limits, seed)
    margins = scorer([(p.chosen.id, p.rejected.id) for p in pairs]) if scorer else None
    made = [(p.prompt_id, p.chosen.id, p.rejected.id, _detail(p)) for p in pairs]
    if margins is not None:
        made = [made[place] for place in sorted(range(len(made)), key=lambda place: abs(margins.values[place]))]
        report["uncertainty"] = _uncertainty(margins)
    pairing = replace_pairs(store, made, {"pairing_hold_out": to_json(sorted(hold_out))})
    stayed = len([t for t in all_tasks(store, "mode = 'pair' AND NOT retired") if t.detail.get("pairing") not in (None, pairing)])
    return {**report, "held_out_kinds": sorted(hold_out), "judged_tasks_of_earlier_pairings": stayed}


def _uncertainty(margins: Margins) -> dict[str, Any]:
    return {
        "model": margins.model,
        "median_margin": round(statistics.median(map(abs, margins.values)), 4),
        "prefers_chosen": round(statistics.mean(value > 0 for value in margins.values), 3),
        "lines_scored_now": margins.computed,
    }


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


@dataclass(frozen=True)
class _Policy:
    """The model that was sampled last, and the candidates that it said. Of several rounds its mistakes are the ones still made."""

    name: str | None
    said: frozenset[str]


def _newest_policy(store: Store) -> _Policy:
    row = store.db.execute("SELECT model FROM said_by GROUP BY model ORDER BY max(at) DESC, model LIMIT 1").fetchone()
    if row is None:
        return _Policy(None, frozenset())
    return _Policy(
        row[0], frozenset(said for (said,) in store.db.execute("SELECT candidate_id FROM said_by WHERE model = ?", row))
    )


def _nothing_to_choose(store: Store, policy: _Policy, own_lines: bool) -> str:
    if not own_lines:
        return (
            f"{store.path}: no corpus line may be chosen: it has none for a training prompt, or each breaks a rule or was called bad; "
            f"add some with: npc-pref corrupt --store {store.path}"
        )
    newest = f"{policy.name}; of its {len(policy.said)} lines" if policy.name else "none yet:"
    name, _, url = (policy.name or "runs/sft").partition(" at ")  # as ServedModel calls itself
    model = f"--server {url} --model {name}" if url else f"--model {name}"
    return (
        f"{store.path}: no line may be chosen. Clean draws of the model sampled last may be. That is {newest} none is for a training prompt, "
        f"without a mistake, and not called bad by a person. Sample more: npc-pref generate --store {store.path} {model} --samples 8 --seed 1, "
        f"then npc-pref check; or choose corpus lines: npc-pref pair --store {store.path} --chosen corpus"
    )


def _prompts(
    store: Store, policy: _Policy, held_out: frozenset[str], set_aside: frozenset[str], own_lines: bool
) -> Iterator[PromptLines]:
    """The prompts that may train, with the lines that may be chosen and those that may be rejected."""
    words = _words(store)
    kept_back = {content_id(combination) for combination in set_aside}
    for prompt_id, own in groupby(store.candidates(store.rules), key=lambda c: c.prompt_id):
        if prompt_id in kept_back:
            continue
        sides: dict[bool, list[tuple[Candidate, tuple[str, ...]]]] = {True: [], False: []}
        personality = ""
        for candidate in own:
            personality = str(store.domain.role(candidate.attributes, "personality"))
            found = {v["kind"] for v in candidate.violations or ()}
            kinds = tuple(sorted(found - held_out))
            side = _side(candidate, kinds, words, policy, own_lines)
            # A line that also breaks a rule held out would teach what evaluation is to judge by.
            if side is not None and not (side is False and found & held_out):
                sides[side].append((candidate, kinds))
        good, bad = (tuple(_line(c, kinds, policy, store.domain) for c, kinds in sides[side]) for side in (True, False))
        yield PromptLines(prompt_id, personality, good, bad)


def _line(candidate: Candidate, kinds: tuple[str, ...], policy: _Policy, domain: Domain) -> Line:
    origin, model = _origin(candidate, policy)
    return Line(candidate.id, candidate.line, kinds, origin, model, candidate.finished, _tells_result(candidate, domain))


def _origin(candidate: Candidate, policy: _Policy) -> tuple[str, str | None]:
    if candidate.id in policy.said:
        return ON_POLICY, policy.name
    if candidate.origin["kind"] == "sampled":
        model = candidate.origin.get("checkpoint")
        return (EARLIER, str(model)) if model else (ON_POLICY, None)
    return _ORIGINS[candidate.origin["kind"]], None


_ORIGINS = {"corrupted": CORRUPTED, "imported": IMPORTED, "corpus": CORPUS, "edited": WRITTEN}


def _tells_result(candidate: Candidate, domain: Domain) -> bool:
    """Whether the line says how the last quest ended, where the record says so, too."""
    recorded = any(domain.is_one_of(candidate.attributes, "result", "results", end) for end in ("success", "failure"))
    return recorded and bool(claims(candidate.line, domain))


@dataclass(frozen=True)
class _Words:
    """What people said of single lines: those called good, those called bad, and those written as better ones."""

    good: set[str]
    bad: set[str]
    written: set[str]


def _words(store: Store) -> _Words:
    words = _Words(set(), set(), standing_edits(store))
    single = {task.id: task.first_id for task in all_tasks(store, "mode = 'line'")}
    for task_id, outcome in final_outcomes(store).items():
        if task_id in single and outcome.choice in ("good", "bad", "fix"):
            (words.good if outcome.choice == "good" else words.bad).add(single[task_id])
    return words


def _side(candidate: Candidate, kinds: Collection[str], words: _Words, policy: _Policy, own_lines: bool) -> bool | None:
    """True for a good line, False for a bad one, None for one of which neither is known."""
    if candidate.id in words.good:
        return True if candidate.finished else None
    origin = candidate.origin
    fit = _clean_draw(candidate, policy) if own_lines else origin["kind"] == "corpus"
    # An edit that was made here holds as long as the judgement does that it belongs to; one from a file has none.
    if fit or candidate.id in words.written or (origin["kind"] == "edited" and "file" in origin):
        return True if not kinds and candidate.id not in words.bad else None
    if own_lines and origin["kind"] == "corrupted":
        return None
    # A pair needs its reasons: a line that only a person finds bad makes a pair when that person compares it.
    return False if kinds and origin["kind"] in _REJECTABLE else None


def _clean_draw(candidate: Candidate, policy: _Policy) -> bool:
    """Whether the newest policy drew the line, ended it itself, and no rule finds anything, held out or not. A corpus line known by heart
    stays the corpus'.

    What it says greedily isn't a draw: chosen, even where no draw would do, it grows likelier for other prompts too, and lines open alike
    (a fifth fewer distinct openings on validation prompts).
    """
    decoding = candidate.origin.get("decoding")  # of an imported line it can be anything
    drawn = candidate.origin["kind"] == "sampled" and isinstance(decoding, dict) and decoding.get("do_sample") is True
    return drawn and candidate.id in policy.said and candidate.finished and not candidate.violations
