"""The picture of the screen in docs/labelling.md, made by the program itself:

python -m preference_data.label.picture docs/labelling.svg
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from itertools import islice, pairwise
from pathlib import Path

from npc_align.cli import DEFAULT_DOMAIN
from npc_align.corpus import read_jsonl
from npc_align.domain import default_corpus
from preference_data.label.app import LabelApp
from preference_data.label.session import Session
from preference_data.label.texts import Texts
from preference_data.store import NewCandidate, Store
from preference_data.store_file import create_store
from preference_data.tasks import add_tasks

_KEYS = ("1", "1", "2", "f")  # some judgements, and a flag on what stands there then


def draw(target: Path, language: str = "ko") -> None:
    """Labels a few corpus lines in a store that is thrown away, and writes the 80x24 screen as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        store = create_store(Path(folder) / "prefs.db", DEFAULT_DOMAIN)
        try:
            _fill(store)
            target.write_text(asyncio.run(_screen(store, language)), encoding="utf-8")
        finally:
            store.close()


def _fill(store: Store) -> None:
    """Pairs of a corpus line and the next prompt's line, which seldom fits."""
    domain = store.domain
    records = [record for _, record in islice(read_jsonl(default_corpus(DEFAULT_DOMAIN)), 40)]
    for own, other in pairwise(records):
        attributes = {key: own[key] for key in domain.by_key}
        lines = [own[domain.line_key], other[domain.line_key]]
        store.add_candidates(NewCandidate(attributes, line, {"kind": "corpus"}) for line in lines)
        prompt_id = store.prompt_id(attributes)
        first, second = (row[0] for row in store.db.execute("SELECT id FROM candidate WHERE prompt_id = ?", (prompt_id,)))
        add_tasks(store, [(prompt_id, first, second, {})])


async def _screen(store: Store, language: str) -> str:
    app = LabelApp(Session(store, "min", "pair"), Texts(language))
    async with app.run_test(size=(80, 24)) as pilot:
        for key in _KEYS:
            await pilot.press(key)
        await pilot.pause()
        return app.export_screenshot(title="npc-pref label")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
