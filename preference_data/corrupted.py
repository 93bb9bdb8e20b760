"""Corruptions of the corpus' good lines as candidates of the store: one of each kind that suits the line."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from preference_data.corrupt import CORRUPTIONS, corrupt
from preference_data.prompts import TrainingPrompt, training_prompts
from preference_data.store import NewCandidate, Store, content_id

_CHUNK = 32  # prompts to a transaction: what an interruption can cost


def corrupt_store(
    store: Store,
    corpus: Path,
    kinds: Sequence[str] = tuple(CORRUPTIONS),
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Counter[str]:
    """Adds the training prompts' corpus lines and their corruptions, and returns how many there are of each kind. Interrupted, it goes on.

    Args:
        store: the project's store.
        corpus: its corpus; only lines of the training split are taken.
        kinds: keys of CORRUPTIONS.
        limit: the first so many prompts only.
        seed: another seed, other places and words.
        progress: wraps the chunks as they are gone through, to show a bar.
    """
    prompts = training_prompts(corpus, store.domain)[:limit]
    made: Counter[str] = Counter()
    for start in progress(range(0, len(prompts), _CHUNK)):
        chunk = prompts[start : start + _CHUNK]
        # What one chunk becomes depends on the rules, too: they say which proposals pass.
        key = "corrupted:" + content_id(
            store.rules, *sorted(kinds), str(seed), *(e.id + e.line for p in chunk for e in p.examples)
        )
        known = store.meta(key)
        if known is None:
            lines = [line for prompt in chunk for line in _corruptions(prompt, store, kinds, seed)]
            store.add_candidates([*(line for prompt in chunk for line in prompt.corpus_lines()), *lines])
            known = ",".join(str(line.origin["rule"]) for line in lines)
            with store.transaction():
                store.set_meta(key, known)
        made.update(filter(None, known.split(",")))
    return made


def _corruptions(prompt: TrainingPrompt, store: Store, kinds: Sequence[str], seed: int) -> list[NewCandidate]:
    found = []
    for example in prompt.examples:
        for kind in kinds:
            rng = random.Random(f"{seed}:{kind}:{example.id}")
            line = corrupt(example.line, example.attributes, store.domain, kind, rng)
            if line is not None:
                origin = {"kind": "corrupted", "rule": kind, "of": example.id}
                found.append(NewCandidate(example.attributes, line, origin, split_group=prompt.group))
    return found
