"""A store with tasks to label, for the tests of npc-pref label."""

from __future__ import annotations

from pathlib import Path

from npc_align.domain import load_domain
from preference_data.store import NewCandidate, Store, content_id
from preference_data.store_file import create_store
from preference_data.tasks import add_tasks

DOMAIN = load_domain("weapon_rental")
GOOD, BAD = "{n}번째로 인사드립니다. 활 하나 보여 주십시오.", "야, {n}번째다. 활 내놔."


def labelled_store(folder: Path, pairs: int = 12, lines: int = 0) -> Store:
    """Pairs of a good and a bad line for the domain's probes; single good lines besides."""
    store = create_store(folder / "prefs.db", "weapon_rental")
    store.db.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug on a test
    tasks, candidates = [], []
    for number in range(pairs + lines):
        attributes = DOMAIN.probes[number % len(DOMAIN.probes)]
        texts = [text.format(n=number) for text in (GOOD, BAD)]
        candidates += [NewCandidate(attributes, text, {"kind": "imported"}) for text in texts]
        prompt = store.prompt_id(attributes)
        first, second = (content_id(prompt, text) for text in texts)
        tasks.append((prompt, first, second if number < pairs else None, {}))
    store.add_candidates(candidates)
    add_tasks(store, tasks)
    return store
