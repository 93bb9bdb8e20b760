"""Checked lines -> preference pairs: one good and one bad line for the same prompt, balanced over kinds and personalities.

Both sides of a pair always belong to one attribute combination, so nothing but the line itself tells them apart. Which lines may be
good, `pairing` decides: those that people approved, and corpus lines or what the model itself draws.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from npc_align.errors import UserError
from npc_align.likeness import jaccard, trigrams
from npc_align.violation import KINDS
from preference_data.balance import balanced

_MERE = {"truncated", "length"}  # stopping too late or too early teaches little about speaking in character


ON_POLICY, EARLIER, IMPORTED, CORRUPTED = "on policy", "earlier models", "imported", "corrupted"
CORPUS, WRITTEN = "corpus", "written by people"
_RESULT = "result_contradiction"


@dataclass(frozen=True)
class Line:
    """A candidate as pairing sees it.

    Attributes:
        kinds: the violations that take part.
        origin: ON_POLICY for what the model sampled last says, EARLIER for what only others said; of the rest where it is from.
        model: of the first two, which one.
        finished: whether the model ended the line itself; False where the length limit cut it off.
        tells_result: whether it says how the last quest ended, where the record says so, too.
    """

    id: str
    text: str
    kinds: tuple[str, ...] = ()
    origin: str = ON_POLICY
    model: str | None = None
    finished: bool = True
    tells_result: bool = False


@dataclass(frozen=True)
class PromptLines:
    """The lines of one attribute combination: good ones to choose, bad ones to reject."""

    id: str
    personality: str
    good: tuple[Line, ...]
    bad: tuple[Line, ...]


@dataclass(frozen=True)
class Pair:
    """Two lines of one prompt; `reasons` are the kinds that the rejected one breaks."""

    prompt_id: str
    personality: str
    chosen: Line
    rejected: Line

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.rejected.kinds

    @property
    def corrupted(self) -> bool:
        return self.rejected.origin == CORRUPTED

    @property
    def dispensable(self) -> tuple[bool, bool, bool]:
        """The greater, the sooner others are preferred: corruptions, then mere cuts, then what the newest policy doesn't say."""
        return self.corrupted, set(self.reasons) <= _MERE, self.rejected.origin != ON_POLICY


@dataclass(frozen=True)
class Limits:
    """What a set of pairs keeps to.

    Attributes:
        per_prompt: the most pairs of one prompt.
        kind_cap: the largest share of all pairs that may have one kind among their reasons.
        max_similarity: the largest `similarity` of the two sides; near-identical pairs push both sides' likelihood down.
        min_length_ratio: the shorter side must have this share of the longer one's characters, unless the rejected one was cut off:
            of an endless loop the length is the fault.
        corrupted_share: the largest share of corruptions among all pairs.
        mix: how many times as many pairs a kind should have as one that isn't named.
        total: the most pairs of all; None: any number.
    """

    per_prompt: int = 2
    kind_cap: float = 0.4
    max_similarity: float = 0.9
    min_length_ratio: float = 0.4
    corrupted_share: float = 0.6
    mix: Mapping[str, float] = field(default_factory=dict)
    total: int | None = None

    def __post_init__(self) -> None:
        if self.per_prompt < 1:
            raise UserError(f"per_prompt is {self.per_prompt}; at least 1 is needed")
        for name in ("kind_cap", "max_similarity", "min_length_ratio", "corrupted_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}; it is a share, 0 to 1")
        unknown = sorted(set(self.mix) - set(KINDS))
        if unknown:
            raise UserError(f"mix names {', '.join(unknown)}: no such kind; there are: {', '.join(KINDS)}")
        if not all(weight > 0 for weight in self.mix.values()):
            raise UserError("mix: weights must be above 0; a kind that is to take no part is held out")
        if self.kind_cap + self.corrupted_share < 1 - 1e-9:
            # Samples often break one rule only; capping that and what could be put beside it leaves nothing.
            raise UserError(f"kind_cap {self.kind_cap} and corrupted_share {self.corrupted_share} must sum to at least 1")

    def commonness(self, reasons: Iterable[str], kinds: Mapping[str, int]) -> float:
        """How far the rarest of the reasons is along towards its part of the mix, given how many pairs each kind has."""
        return min(kinds.get(kind, 0) / self.mix.get(kind, 1.0) for kind in reasons)

    def objection(self, chosen: Line, rejected: Line) -> str | None:
        """Why two lines make no pair, or None."""
        good, bad = chosen.text.strip(), rejected.text.strip()
        shorter, longer = sorted((len(good), len(bad)))
        if good.split() == bad.split():
            return "same as the chosen line"
        if rejected.finished and shorter < self.min_length_ratio * longer:
            return "length too different"
        if rejected.kinds == (_RESULT,) and rejected.tells_result and not chosen.tells_result:
            # Whoever says nothing of the quest can't be wrong about it: such pairs teach silence, and lines turn vague.
            return "no good line tells the result"
        return "too similar" if similarity(good, bad) > self.max_similarity else None


def similarity(a: str, b: str) -> float:
    """How alike two lines are, 0 to 1: trigrams and length both, since a line said twice has the trigrams of the line."""
    return min(jaccard(trigrams(a), trigrams(b)), min(len(a), len(b)) / max(len(a), len(b), 1))


def build_pairs(prompts: Iterable[PromptLines], limits: Limits, seed: int = 0) -> tuple[list[Pair], dict[str, Any]]:
    """Pairs within the limits, on-policy before corrupted, and a report of what they are made of and what was dropped.

    Every prompt gives its best pair that keeps the set within its shares, then its second best, and so on: samples before corruptions,
    those of the newest policy before those of earlier ones, rare kinds before common ones. What still makes a kind, a personality or the corruptions too many then goes.

    Args:
        prompts: in the order in which their pairs come out.
        limits: what the pairs keep to.
        seed: another seed, other choices among equals; the same seed, the same pairs.

    Raises:
        UserError: no pairs at all.
    """
    dropped: Counter[str] = Counter()
    possible = {prompt.id: list(_possible(prompt, limits, dropped)) for prompt in prompts}
    order = random.Random(seed).sample(list(possible), len(possible))
    pairs = balanced(_selected([possible[prompt_id] for prompt_id in order], limits), limits, dropped)
    dropped["not needed"] = (
        sum(map(len, possible.values())) - len(pairs) - sum(dropped[r] for r in dropped if r.startswith("too many"))
    )
    if not pairs:
        why = ", ".join(f"{reason}: {count}" for reason, count in dropped.most_common() if count)
        raise UserError(
            f"no pairs can be made ({why or 'no prompt has a good and a bad line'}); sample more lines of the model (npc-pref generate "
            "--samples 8) and check them (npc-pref check), or take corpus lines as the good ones and corruptions as bad ones (npc-pref "
            "corrupt, npc-pref check, npc-pref pair --chosen corpus --corrupted-share 1)"
        )
    places = {prompt_id: place for place, prompt_id in enumerate(possible)}
    pairs.sort(key=lambda pair: (places[pair.prompt_id], pair.corrupted, pair.rejected.text))
    return pairs, _report(pairs, dropped)


def _possible(prompt: PromptLines, limits: Limits, dropped: Counter[str]) -> Iterator[Pair]:
    seen = set()
    for line in prompt.bad:
        text = line.text.strip()
        chosen = _nearest(prompt.good, line, limits)
        objection = limits.objection(chosen, line) if chosen else "no good line"
        if not text or text in seen:
            objection = "said before, or empty"
        seen.add(text)
        if objection or chosen is None:
            dropped[objection or ""] += 1
        else:
            yield Pair(prompt.id, prompt.personality, chosen, line)


def _nearest(good: Sequence[Line], bad: Line, limits: Limits) -> Line | None:
    """The good line closest in length, so that length is not what tells the sides apart; one that makes a pair, if any does.

    Against a line that tells of the quest's end one that does, too, if there is any: else saying so is what tells the sides apart.
    """

    def distance(line: Line) -> tuple[bool, bool, int, str]:
        silent = bad.tells_result and not line.tells_result
        return limits.objection(line, bad) is not None, silent, abs(len(line.text) - len(bad.text)), line.id

    return min(good, key=distance, default=None)


def _selected(prompts: Sequence[Sequence[Pair]], limits: Limits) -> list[Pair]:
    """Pairs taken prompt by prompt in rounds, each within the shares as they are then; a prompt that must wait comes again."""
    kept: list[Pair] = []
    kinds: Counter[str] = Counter()
    corrupted = 0

    def rank(pair: Pair) -> tuple[tuple[bool, bool, bool], float, str]:
        return pair.dispensable, limits.commonness(pair.reasons, kinds), pair.rejected.id

    def fits(pair: Pair) -> bool:
        total = len(kept) + 1
        of_kind = max(kinds[kind] for kind in pair.reasons) + 1 <= math.ceil(kind_cap * total)
        return of_kind and corrupted + pair.corrupted <= math.ceil(limits.corrupted_share * total)

    remaining = [list(own) for own in prompts]
    kind_cap = max(limits.kind_cap, 1 / max(1, len({kind for own in prompts for pair in own for kind in pair.reasons})))
    for _ in range(limits.per_prompt):
        waiting = [own for own in remaining if own]
        while waiting:
            still = []
            for own in waiting:
                fitting = [pair for pair in own if fits(pair)]
                if not fitting:
                    still.append(own)
                    continue
                best = min(fitting, key=rank)
                own.remove(best)
                kept.append(best)
                kinds.update(best.reasons)
                corrupted += best.corrupted
            if len(still) == len(waiting):
                break
            waiting = still
    return kept


def _report(pairs: Sequence[Pair], dropped: Counter[str]) -> dict[str, Any]:
    """What the pairs are made of, ready for JSON. Length differences are chosen minus rejected, in characters."""
    differences = [len(pair.chosen.text) - len(pair.rejected.text) for pair in pairs]
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        for kind in pair.reasons:
            kinds[kind][pair.rejected.origin] += 1
    origins = Counter(pair.rejected.origin for pair in pairs)
    return {
        "pairs": len(pairs),
        "prompts": len({pair.prompt_id for pair in pairs}),
        "kinds": {kind: dict(origins) for kind, origins in sorted(kinds.items(), key=lambda item: -item[1].total())},
        "personalities": dict(Counter(pair.personality for pair in pairs).most_common()),
        "chosen_origins": dict(Counter(pair.chosen.origin for pair in pairs).most_common()),
        "origins": {name: origins[name] for name in (ON_POLICY, EARLIER, IMPORTED, CORRUPTED) if origins[name]},
        "models": dict(Counter(pair.rejected.model for pair in pairs if pair.rejected.model).most_common()),
        "dropped": {reason: count for reason, count in dropped.most_common() if count},
        "tells_result": {side: sum(getattr(pair, side).tells_result for pair in pairs) for side in ("chosen", "rejected")},
        "mean_length_difference": round(statistics.mean(differences), 2),
        "mean_absolute_length_difference": round(statistics.mean(map(abs, differences)), 2),
        "median_similarity": round(statistics.median(similarity(p.chosen.text, p.rejected.text) for p in pairs), 3),
    }
