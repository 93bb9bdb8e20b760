"""Checked candidates and the corpus -> preference pairs: one good and one bad line for the same prompt.

Both sides of a pair always belong to one attribute combination, so nothing but the line itself tells them apart. The good
side is a corpus line: a sample that breaks no rule can still be nonsense.
"""

from __future__ import annotations

import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from npc_align.checks import check_line
from npc_align.corpus import Example
from npc_align.domain import Attributes, Domain
from npc_align.errors import UserError
from npc_align.likeness import jaccard, trigrams
from npc_align.splits import group_ids
from preference_data.candidates import read_row
from preference_data.corrupt import CORRUPTIONS, corrupt

PERSONALITY_RATIO = 1.5  # no personality gets more than this many times the pairs of another
_MERE = {"truncated", "length"}  # stopping too late or too early teaches little about speaking in character

Row = dict[str, Any]
Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Pair:
    """A preference record: two lines for one prompt, why the second is the worse, and where both came from.

    `domain` is the name and hash of the domain that the candidates were sampled for, None where they don't say.
    """

    prompt: str
    chosen: str
    rejected: str
    attributes: Attributes
    reasons: tuple[str, ...]
    chosen_origin: Mapping[str, Any]
    rejected_origin: Mapping[str, Any]
    group: str
    judge: str = "auto"
    domain: Mapping[str, str] | None = None

    @property
    def corrupted(self) -> bool:
        return self.rejected_origin["kind"] == "corrupted"

    def to_row(self) -> Row:
        row = {**asdict(self), "reasons": list(self.reasons)}
        if self.domain is None:
            del row["domain"]
        return row


def pair_of(row: Mapping[str, Any], number: int) -> Pair:
    """The pair that stands in a row of a pairs file.

    Raises:
        UserError: a field is missing, or its domain has no name and hash.
    """
    missing = [f.name for f in fields(Pair) if f.name not in row and f.name != "domain"]
    if missing:
        raise UserError(f"row {number} is no pair: {', '.join(missing)} missing; make pairs with: npc-pref pair")
    known = {f.name: row[f.name] for f in fields(Pair) if f.name in row}
    _domain_of(row, f"row {number}")
    return Pair(**{**known, "reasons": tuple(row["reasons"])})


def _domain_of(row: Mapping[str, Any], where: str) -> Mapping[str, str] | None:
    domain = row.get("domain")
    if domain is not None and not (isinstance(domain, Mapping) and {"name", "hash"} <= set(domain)):
        raise UserError(f"{where}: 'domain' must have a name and a hash, not {domain!r}")
    return domain


@dataclass(frozen=True)
class _Prompt:
    """All that is known for one attribute combination."""

    text: str
    group: str
    attributes: Attributes
    personality: str
    good: tuple[Example, ...]
    rows: tuple[Row, ...]
    domain: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Limits:
    """What a set of pairs has to keep to; see `build_pairs`."""

    per_prompt: int
    kind_cap: float
    max_similarity: float
    min_length_ratio: float
    corrupted_share: float

    def __post_init__(self) -> None:
        if self.per_prompt < 1:
            raise UserError(f"per_prompt is {self.per_prompt}; at least 1 is needed")
        for name in ("kind_cap", "max_similarity", "min_length_ratio", "corrupted_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}; it is a share, 0 to 1")
        if self.kind_cap + self.corrupted_share < 1 - 1e-9:
            # Samples often break one rule only; capping that and what could be put beside it leaves nothing.
            raise UserError(f"kind_cap {self.kind_cap} and corrupted_share {self.corrupted_share} must sum to at least 1")

    def objection(self, chosen: str, rejected: str) -> str | None:
        """Why two lines make no pair, or None."""
        shorter, longer = sorted((len(chosen), len(rejected)))
        if chosen.split() == rejected.split():
            return "same as the chosen line"
        if shorter < self.min_length_ratio * longer:
            return "length too different"
        return "too similar" if similarity(chosen, rejected) > self.max_similarity else None


def similarity(a: str, b: str) -> float:
    """How alike two lines are, 0 to 1: trigrams and length both, since a line said twice has the trigrams of the line."""
    return min(jaccard(trigrams(a), trigrams(b)), min(len(a), len(b)) / max(len(a), len(b), 1))


def build_pairs(
    candidates: Sequence[Row],
    splits: Mapping[str, Sequence[Example]],
    domain: Domain,
    *,
    per_prompt: int = 2,
    kind_cap: float = 0.4,
    max_similarity: float = 0.9,
    min_length_ratio: float = 0.4,
    corrupted_share: float = 0.6,
    seed: int = 0,
    progress: Progress = iter,
) -> tuple[list[Pair], dict[str, Any]]:
    """Pairs of a corpus line of the train split and a bad line for the same attributes, balanced over kinds and personalities.

    Bad lines are samples that break a rule; where a prompt has none, and where a kind is rare, corruptions of the good line.

    Args:
        candidates: rows that `check_rows` has been through.
        splits: the corpus as `load_splits` gives it; good lines come from its train split.
        domain: the game's world.
        per_prompt: the most pairs of one prompt.
        kind_cap: the largest share of all pairs that may have one kind among their reasons.
        max_similarity: the largest `similarity` of the two sides.
        min_length_ratio: the shorter side must have this share of the longer one's characters.
        corrupted_share: the largest share of corruptions among all pairs.
        seed: another seed, other choices; the same seed, the same pairs.
        progress: wraps the prompts as they are gone through, to show a bar.

    Returns:
        The pairs, and a report of what they are made of and what was dropped.

    Raises:
        UserError: unchecked candidates, limits that cannot hold together, or no pairs at all.
    """
    limits = _Limits(per_prompt, kind_cap, max_similarity, min_length_ratio, corrupted_share)
    dropped: Counter[str] = Counter()
    prompts = _prompts(candidates, splits, domain, dropped)
    sampled = _sampled_pairs(prompts, limits, dropped)
    pairs = _topped_up(prompts, sampled, domain, limits, seed, dropped, progress)
    pairs = _balanced(pairs, domain, limits, seed, dropped)
    if not pairs:
        why = ", ".join(f"{reason}: {count}" for reason, count in dropped.most_common())
        raise UserError(
            f"no pairs can be made of {len(candidates)} candidates ({why}); sample more lines (npc-pref generate --samples 8), "
            "or allow pairs of nothing but corruptions (npc-pref pair --corrupted-share 1)"
        )
    order = {prompt.text: position for position, prompt in enumerate(prompts)}
    pairs.sort(key=lambda pair: (order[pair.prompt], pair.corrupted, pair.rejected))
    return pairs, _report(pairs, domain, dropped)


# --- Prompts


def _prompts(
    candidates: Sequence[Row], splits: Mapping[str, Sequence[Example]], domain: Domain, dropped: Counter[str]
) -> list[_Prompt]:
    """The prompts that have both candidates and a good line in the train split, in the candidates' order."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for number, row in enumerate(candidates, start=1):
        if not isinstance(row.get("violations"), list) or "prompt" not in row:
            raise UserError(f"candidate {number} has no violations or no prompt; run: npc-pref check")
        _domain_of(row, f"candidate {number}")
        attributes, _ = read_row(row, number, domain)
        rows[domain.combination(attributes)].append(row)
    good: dict[str, list[Example]] = defaultdict(list)
    for example in splits["train"]:
        good[domain.combination(example.attributes)].append(example)
    examples = [example for part in splits.values() for example in part]
    groups = dict(zip((example.id for example in examples), group_ids(examples, domain), strict=True))
    prompts = []
    for combination, own in rows.items():
        clean = tuple(e for e in good[combination] if not check_line(e.line, e.attributes, domain))
        if len({row["prompt"] for row in own}) > 1:
            raise UserError(f"candidates for {combination} have different prompts; generate them all with one model")
        if any(row.get("domain") != own[0].get("domain") for row in own):
            raise UserError(f"candidates for {combination} come from different domains; generate them all with one domain")
        if not clean:
            reason = "only bad corpus lines" if good[combination] else "not in the train split"
            dropped[reason] += len(own)
            continue
        attributes = clean[0].attributes
        personality = str(domain.role(attributes, "personality"))
        group, sampled_for = groups[clean[0].id], own[0].get("domain")
        prompts.append(_Prompt(own[0]["prompt"], group, attributes, personality, clean, tuple(own), sampled_for))
    return prompts


def _nearest(good: Sequence[Example], line: str) -> Example:
    """The corpus line closest in length, so that length is not what tells the sides apart."""
    return min(good, key=lambda example: (abs(len(example.line) - len(line)), example.id))


# --- Bad lines that were sampled


def _sampled_pairs(prompts: Sequence[_Prompt], limits: _Limits, dropped: Counter[str]) -> list[Pair]:
    possible = [list(_possible(prompt, limits, dropped)) for prompt in prompts]
    counts = Counter(kind for pairs in possible for pair in pairs for kind in pair.reasons)

    def rank(pair: Pair) -> tuple[bool, int, str]:
        return set(pair.reasons) <= _MERE, min(counts[kind] for kind in pair.reasons), pair.rejected

    kept = [pair for pairs in possible for pair in sorted(pairs, key=rank)[: limits.per_prompt]]
    dropped["more than per_prompt"] += sum(map(len, possible)) - len(kept)
    return kept


def _possible(prompt: _Prompt, limits: _Limits, dropped: Counter[str]) -> Iterator[Pair]:
    seen = set()
    for row in prompt.rows:
        line = row["line"].strip()
        kinds = tuple(sorted({violation["kind"] for violation in row["violations"]}))
        chosen = _nearest(prompt.good, line)
        objection = "breaks no rule" if not kinds else limits.objection(chosen.line, line)
        if line in seen or not line:
            objection = "said before, or empty"
        seen.add(line)
        if objection:
            dropped[objection] += 1
        else:
            yield _pair(prompt, chosen, line, kinds, {"kind": "sampled", **row.get("origin", {})})


def _pair(prompt: _Prompt, chosen: Example, rejected: str, kinds: Sequence[str], origin: Mapping[str, Any]) -> Pair:
    chosen_origin = {"kind": "corpus", "id": chosen.id}
    return Pair(
        prompt.text,
        chosen.line,
        rejected,
        chosen.attributes,
        tuple(kinds),
        chosen_origin,
        origin,
        prompt.group,
        domain=prompt.domain,
    )


# --- Bad lines that were made


def _topped_up(
    prompts: Sequence[_Prompt],
    sampled: Sequence[Pair],
    domain: Domain,
    limits: _Limits,
    seed: int,
    dropped: Counter[str],
    progress: Progress,
) -> list[Pair]:
    """The sampled pairs and corruptions: for prompts without a bad sample, then for others while one kind is too common.

    In a prompt that has no room left, a sampled pair of the too common kind gives way. It would have to go anyway, and
    going without a replacement would drag the other kinds' limits down with it.
    """
    tally = _Tally(sampled, domain)
    made = 0
    shuffled = random.Random(seed).sample(list(prompts), len(prompts))
    for prompt in progress(sorted(shuffled * limits.per_prompt, key=lambda p: tally.prompts[p.text] > 0)):
        too_common = tally.too_common(limits)
        own = [pair for pair in tally.pairs if pair.prompt == prompt.text]
        leaving = [pair for pair in own if not pair.corrupted and too_common in pair.reasons]
        room = len(own) < limits.per_prompt
        needed = not own or (too_common is not None and (room or leaving))
        if not needed or made + 1 > limits.corrupted_share * (len(tally.pairs) + room):
            continue
        tried = {pair.rejected_origin["rule"] for pair in own if pair.corrupted}
        kinds = [kind for kind in sorted(CORRUPTIONS, key=tally.kinds.__getitem__) if kind not in tried]
        corrupted = _corrupted_pair(prompt, domain, kinds, too_common, limits, seed)
        if corrupted is None:
            continue
        if not room:
            tally.remove(max(leaving, key=tally.commonness))
            dropped[f"too many {too_common}"] += 1
        tally.add(corrupted)
        made += 1
    return tally.pairs


def _corrupted_pair(
    prompt: _Prompt, domain: Domain, kinds: Iterable[str], avoided: str | None, limits: _Limits, seed: int
) -> Pair | None:
    """A corruption of the prompt's good line by the first of `kinds` that works without bringing in `avoided`, or None."""
    for kind in kinds:
        for example in prompt.good:
            rng = random.Random(f"{seed}:{kind}:{example.id}")
            line = corrupt(example.line, example.attributes, domain, kind, rng)
            if line is not None and limits.objection(example.line, line) is None:
                reasons = sorted({violation.kind for violation in check_line(line, example.attributes, domain)})
                if avoided not in reasons:
                    return _pair(prompt, example, line, reasons, {"kind": "corrupted", "rule": kind, "of": example.id})
    return None


# --- Balance and report


class _Tally:
    """How often each kind, personality and prompt occurs among the pairs that are still there."""

    def __init__(self, pairs: Iterable[Pair], domain: Domain) -> None:
        self.domain = domain
        self.pairs = list(pairs)
        self.kinds = Counter(kind for pair in self.pairs for kind in pair.reasons)
        self.people = Counter(self.personality(pair) for pair in self.pairs)
        self.prompts = Counter(pair.prompt for pair in self.pairs)

    def personality(self, pair: Pair) -> str:
        return str(self.domain.role(pair.attributes, "personality"))

    def add(self, pair: Pair) -> None:
        self.pairs.append(pair)
        self.kinds.update(pair.reasons)
        self.people.update([self.personality(pair)])
        self.prompts.update([pair.prompt])

    def remove(self, pair: Pair) -> None:
        self.pairs.remove(pair)
        self.kinds.subtract(pair.reasons)
        self.people.subtract([self.personality(pair)])
        self.prompts.subtract([pair.prompt])

    def too_common(self, limits: _Limits) -> str | None:
        """The kind that too many of the pairs have, or None."""
        kind, most = max(self.kinds.items(), key=lambda item: item[1], default=("", 0))
        # One pair of a kind is never too many: a handful of pairs could keep to no share.
        return kind if most > max(1, int(limits.kind_cap * len(self.pairs))) else None

    def excess(self, limits: _Limits) -> tuple[str, list[Pair]]:
        """What there is too much of, and the pairs that make it so; an empty list when everything keeps to the limits."""
        kind = self.too_common(limits)
        if kind is not None:
            return f"too many {kind}", [pair for pair in self.pairs if kind in pair.reasons]
        person, most = max(self.people.items(), key=lambda item: item[1])
        fewest = min(count for count in self.people.values() if count)
        if most > max(1, int(PERSONALITY_RATIO * fewest)):
            return f"too many {person}", [pair for pair in self.pairs if self.personality(pair) == person]
        corrupted = [pair for pair in self.pairs if pair.corrupted]
        return "too many corruptions", corrupted if len(corrupted) > limits.corrupted_share * len(self.pairs) else []

    def commonness(self, pair: Pair) -> tuple[bool, int, int, int]:
        """How little would be lost with a pair: more is less."""
        rarest = min(self.kinds[kind] for kind in pair.reasons)
        return set(pair.reasons) <= _MERE, rarest, self.people[self.personality(pair)], self.prompts[pair.prompt]


def _balanced(pairs: list[Pair], domain: Domain, limits: _Limits, seed: int, dropped: Counter[str]) -> list[Pair]:
    """The pairs without those that made a kind, a personality or the corruptions too many.

    They go one at a time, the most dispensable first: each that goes moves the limits for the others.
    """
    tally = _Tally(random.Random(seed).sample(pairs, len(pairs)), domain)
    while tally.pairs:
        reason, excess = tally.excess(limits)
        if not excess:
            break
        tally.remove(max(excess, key=tally.commonness))
        dropped[reason] += 1
    return tally.pairs


def _report(pairs: Sequence[Pair], domain: Domain, dropped: Counter[str]) -> dict[str, Any]:
    """What the pairs are made of, ready for JSON. Length differences are chosen minus rejected, in characters."""
    similarities = [similarity(pair.chosen, pair.rejected) for pair in pairs]
    people = Counter(str(domain.role(pair.attributes, "personality")) for pair in pairs)
    return {
        "pairs": len(pairs),
        "prompts": len({pair.prompt for pair in pairs}),
        "kinds": dict(Counter(kind for pair in pairs for kind in pair.reasons).most_common()),
        "personalities": dict(people.most_common()),
        "origins": {
            "sampled": sum(not pair.corrupted for pair in pairs),
            "corrupted": dict(Counter(pair.rejected_origin["rule"] for pair in pairs if pair.corrupted).most_common()),
        },
        "dropped": dict(dropped.most_common()),
        "mean_length_difference": round(statistics.mean(len(pair.chosen) - len(pair.rejected) for pair in pairs), 2),
        "mean_absolute_length_difference": round(statistics.mean(abs(len(p.chosen) - len(p.rejected)) for p in pairs), 2),
        "median_similarity": round(statistics.median(similarities), 3),
    }
