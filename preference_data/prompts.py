"""The prompts that candidates are made for: the corpus' training split, counterfactual copies with it, one prompt to an attribute combination."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from npc_align.corpus import AUGMENTED, Example, read_jsonl
from npc_align.domain import Attributes, Domain, default_corpus, load_domain, shipped_domains
from npc_align.errors import UserError
from npc_align.splits import group_ids, load_splits
from preference_data.store import NewCandidate


@dataclass(frozen=True)
class TrainingPrompt:
    """An attribute combination of the training split, its split group and the corpus lines written for it."""

    attributes: Attributes
    group: str
    examples: tuple[Example, ...]

    def corpus_lines(self, text: str | None = None) -> list[NewCandidate]:
        """The corpus lines as candidates; `text` is the prompt as a model sees it, where a model is at hand."""
        return [
            NewCandidate(
                e.attributes,
                e.line,
                {"kind": "corpus", "id": e.id, **({AUGMENTED: e.augmented_from} if e.augmented_from else {})},
                text=text,
                split_group=self.group,
            )
            for e in self.examples
        ]


def training_prompts(corpus: Path, domain: Domain) -> list[TrainingPrompt]:
    """In the order of their first example's id, so that "the first N" are the same for every command.

    A counterfactual copy is in the group of the line that it was made from, and in none of evaluation's prompts.
    """
    splits = load_splits(corpus, domain, augmented=True)
    everyone = [example for part in splits.values() for example in part if example.augmented_from is None]
    groups = dict(zip((example.id for example in everyone), group_ids(everyone, domain), strict=True))
    held_out = _evaluated(splits, corpus, domain)
    together: dict[str, list[Example]] = defaultdict(list)
    for example in sorted(splits["train"], key=lambda e: e.id):
        if (combination := domain.combination(example.attributes)) not in held_out:
            together[combination].append(example)
    return [TrainingPrompt(own[0].attributes, _group(own, groups), tuple(own)) for own in together.values()]


def _group(examples: Sequence[Example], groups: Mapping[str, str]) -> str:
    """A prompt's: its own lines', where it has any, so that copies move no prompt."""
    written = next((e for e in examples if e.augmented_from is None), None)
    return groups[written.id] if written else str(examples[0].augmented_from)


def held_out_prompts(corpus: Path | None, domain: Domain) -> frozenset[str]:
    """Attribute combinations that evaluation keeps to itself: those of the corpus' validation and test splits, and the test prompts.

    Raises:
        UserError: the domain brings no corpus, and none was named.
    """
    source = corpus_of(corpus, domain)
    return _evaluated(load_splits(source, domain), source, domain)


def _evaluated(splits: Mapping[str, Sequence[Example]], source: Path, domain: Domain) -> frozenset[str]:
    held_out = {domain.combination(e.attributes) for name in ("validation", "test") for e in splits[name]}
    # A copy of the shipped corpus, or one with more lines, is evaluated on the shipped prompts.
    for corpus_file in {source, default_corpus(domain.name)} if _is_shipped(domain) else {source}:
        if (prompts := corpus_file.with_name("test_prompts.jsonl")).is_file():
            held_out |= {domain.combination(row["attributes"]) for _, row in read_jsonl(prompts)}
    return frozenset(held_out)


def corpus_of(asked: Path | None, domain: Domain) -> Path:
    """The corpus that was asked for, else the one that the domain brings.

    Raises:
        UserError: a studio's own domain, or a shipped one that was changed, brings no corpus.
    """
    if asked is not None:
        return asked
    if not _is_shipped(domain):
        raise UserError(f"domain {domain.name!r} brings no corpus of its own; give --corpus")
    return default_corpus(domain.name)


def _is_shipped(domain: Domain) -> bool:
    return domain.name in shipped_domains() and load_domain(domain.name).content_hash == domain.content_hash
