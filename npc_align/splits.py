"""Train, validation and test: by groups that hang together, and from a file where a corpus ships its splits."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from npc_align.corpus import Example, read_examples, to_record, write_together
from npc_align.domain import Domain
from npc_align.errors import UserError
from npc_align.files import write_text
from npc_align.likeness import near_components

SPLITS = ("train", "validation", "test")


def group_ids(examples: Sequence[Example], domain: Domain) -> list[str]:
    """A group id (12 hex characters) per example; examples of one group must not be on two sides of a split.

    A group is what hangs together by the same attribute combination or by lines nearer than `likeness.NEAR`, however long the
    chain. The id depends on what the examples say, not on their order or file.
    """
    lines = list(dict.fromkeys(example.line for example in examples))
    likeness = dict(zip(lines, near_components(lines), strict=True))
    parents = list(range(len(examples)))
    first: dict[tuple[str, object], int] = {}
    for index, example in enumerate(examples):
        for key in (("combination", domain.combination(example.attributes)), ("likeness", likeness[example.line])):
            parents[_root(parents, index)] = _root(parents, first.setdefault(key, index))
    names: dict[int, str] = {}
    for index, example in enumerate(examples):
        root, own = _root(parents, index), f"{domain.combination(example.attributes)}\n{example.line}"
        names[root] = min(names.get(root, own), own)
    ids = {root: hashlib.sha256(name.encode()).hexdigest()[:12] for root, name in names.items()}
    return [ids[_root(parents, index)] for index in range(len(examples))]


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index


def splits_file(corpus: Path) -> Path:
    """The file beside a corpus that fixes its splits, where it ships one."""
    return corpus.with_suffix(".splits.json")


def load_splits(corpus: Path | str, domain: Domain, *, augmented: bool = False) -> dict[str, list[Example]]:
    """The splits of a corpus file, the same for whoever asks.

    Where `<corpus>.splits.json` lies beside it, that says which groups are in validation and test; every other group
    trains. Elsewhere the splits are drawn by `split_examples`.

    Args:
        corpus: JSONL file.
        domain: the game's world.
        augmented: add to train the counterfactual copies whose source trains. They are in no other split, nor are their prompts.

    Raises:
        CorpusError: bad records.
        UserError: a file that can't be read or split, or a splits file that no longer fits it.
    """
    corpus = Path(corpus)
    examples = read_examples(corpus, domain)
    originals = [e for e in examples if e.augmented_from is None]
    fixed = splits_file(corpus)
    splits = _fixed_splits(originals, domain, fixed) if fixed.is_file() else split_examples(originals, domain)
    if augmented:
        groups = dict(zip((e.id for e in originals), group_ids(originals, domain), strict=True))
        training = {groups[e.id] for e in splits["train"]}
        evaluated = {domain.combination(e.attributes) for name in SPLITS[1:] for e in splits[name]}
        copies = (e for e in examples if e.augmented_from in training)
        splits["train"] += [e for e in copies if domain.combination(e.attributes) not in evaluated]
    return splits


def _fixed_splits(examples: Sequence[Example], domain: Domain, file: Path) -> dict[str, list[Example]]:
    again = f"write it again with: npc-data split {file.with_suffix('').with_suffix('.jsonl')} --fix"
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
        named = {group: name for name in SPLITS[1:] for group in listed[name]}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: lists of group ids under validation and test are expected ({error}); {again}") from error
    ids = group_ids(examples, domain)
    lost = set(named) - set(ids)
    if lost:
        raise UserError(f"{file}: the corpus no longer has group {min(lost)} ({len(lost)} in all); {again}")
    return {name: [e for e, group in zip(examples, ids, strict=True) if named.get(group, "train") == name] for name in SPLITS}


def fix_splits(corpus: Path, splits: Mapping[str, Sequence[Example]], domain: Domain) -> Path:
    """Write the file that keeps these splits of `corpus`, whatever lines are added to it later; return its path."""
    everything = [e for name in SPLITS for e in splits[name]]
    groups = dict(zip((e.id for e in everything), group_ids(everything, domain), strict=True))
    listed = {name: sorted({groups[e.id] for e in splits[name]}) for name in SPLITS[1:]}
    write_text(splits_file(corpus), json.dumps(listed, indent=0) + "\n")
    return splits_file(corpus)


def write_splits(folder: Path | str, splits: Mapping[str, Sequence[Example]], domain: Domain) -> None:
    """Writes `<split>.jsonl` for every split. An interruption leaves a file missing rather than two splits mixed."""
    rows = {name: (to_record(e.attributes, e.line, domain) for e in examples) for name, examples in splits.items()}
    write_together({Path(folder) / f"{name}.jsonl": rows[name] for name in splits})


def split_examples(
    examples: Sequence[Example], domain: Domain, *, seed: int = 0, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
) -> dict[str, list[Example]]:
    """Train, validation and test; no attribute combination and no near-duplicate line stands on two sides.

    The assignment depends on the seed and on what the examples say, not on their order. Personalities keep about the
    same share in every split.

    Args:
        examples: what `read_examples` gave.
        domain: the game's world.
        seed: another seed, another split.
        fractions: shares of train, validation and test; positive, summing to 1.

    Raises:
        UserError: impossible fractions, or fewer groups than splits.
    """
    if len(fractions) != len(SPLITS) or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UserError(f"fractions {fractions}: three positive numbers that sum to 1 are needed, such as (0.8, 0.1, 0.1)")
    ids = group_ids(examples, domain)
    if len(set(ids)) < len(SPLITS):
        raise UserError(
            f"{len(examples)} examples form {len(set(ids))} groups of equal attributes or nearly equal lines; "
            f"{len(SPLITS)} are needed for {', '.join(SPLITS)}: add lines for other attribute combinations"
        )
    strata = [str(domain.role(example.attributes, "personality")) for example in examples]
    chosen = _assign(ids, strata, seed, dict(zip(SPLITS, fractions, strict=True)))
    return {name: [e for e, group in zip(examples, ids, strict=True) if chosen[group] == name] for name in SPLITS}


def _assign(ids: Sequence[str], strata: Sequence[str], seed: int, shares: Mapping[str, float]) -> dict[str, str]:
    """Group id -> split: large groups first, each to where its personalities are missed most."""
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for group, stratum in zip(ids, strata, strict=True):
        groups[group][stratum] += 1
    totals = Counter(strata)
    missing = {name: {s: share * total for s, total in totals.items()} for name, share in shares.items()}
    order = sorted(groups, key=lambda g: (-groups[g].total(), hashlib.sha256(f"{seed}:{g}".encode()).hexdigest()))
    empty, chosen = list(shares), {}
    for position, group in enumerate(order):
        must_fill = len(order) - position <= len(empty)
        names = empty if must_fill else list(shares)
        best = max(names, key=lambda name: sum(n * missing[name][s] for s, n in groups[group].items()))
        chosen[group] = best
        empty = [name for name in empty if name != best]
        for stratum, count in groups[group].items():
            missing[best][stratum] -= count
    return chosen
