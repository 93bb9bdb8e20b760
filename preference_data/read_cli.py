"""`npc-pref read`: a file of lines read one by one on the labelling screen, in the file's order, and what was said of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npc_align.cli import domain_option
from npc_align.errors import UserError
from preference_data.label_cli import sit

if TYPE_CHECKING:
    from preference_data.store import Store

_PATH = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("sample", type=_PATH)
@click.option("--output", type=_PATH, required=True, help="JSONL of what has been said: key, reader, verdict, reasons.")
@domain_option
@click.option("--annotator", metavar="NAME", help="Who reads; default: the login name.")
@click.option("--lang", type=click.Choice(["ko", "en"]), default="ko", show_default=True, help="Language of the screen.")
@click.option("--plain", is_flag=True, help="Plain prompts instead of a full screen.")
@click.option("--no-screen", is_flag=True, help="Only write what has been said so far.")
@click.option(
    "--called-by", metavar="COMMAND", help="The command that a reader who stops is told to go on with; default: this one."
)
def read(
    sample: Path, output: Path, domain_name: str, annotator: str | None, lang: str, plain: bool, no_screen: bool, called_by: str | None
) -> None:  # fmt: skip
    """Read the lines of SAMPLE one by one: JSONL of attributes, line and key, shown in its order, without telling where they come from.

    Their store lies beside SAMPLE under its name with .db; several people may read the same one. npc-eval read does all this by itself.

    Example: npc-pref read sample.jsonl --output judged.jsonl --annotator min
    """
    from npc_align.corpus import write_jsonl

    with_store = sample.with_suffix(".db")
    _fill(sample, with_store, domain_name)
    try:
        if not no_screen:
            own = ("npc-pref", "read", str(sample), "--output", str(output), "--domain", domain_name)
            again = shlex.split(called_by) if called_by else own
            sit(with_store, annotator, "line", lang, plain=plain, command=again)
    finally:
        write_jsonl(output, _said(with_store))


def _fill(sample: Path, path: Path, domain_name: str) -> None:
    """The sample's lines as tasks of its store, in the sample's order; once they are there, nothing changes."""
    from npc_align.corpus import read_jsonl
    from preference_data.store import NewCandidate, content_id
    from preference_data.store_file import create_store, open_store
    from preference_data.tasks import add_tasks

    rows = [row for _, row in read_jsonl(sample)]
    store = open_store(path) if path.is_file() else create_store(path, domain_name)
    try:
        for row in rows:
            problems = store.domain.problems(row["attributes"])
            if problems:
                raise UserError(f"{sample}: {problems[0]}")
        store.add_candidates(NewCandidate(row["attributes"], row["line"], {"kind": "imported"}) for row in rows)
        prompts = [store.prompt_id(row["attributes"]) for row in rows]
        add_tasks(store, ((p, content_id(p, r["line"]), None, {"key": r["key"]}) for p, r in zip(prompts, rows, strict=True)))
    finally:
        store.close()


def _said(path: Path) -> Iterable[dict[str, Any]]:
    """Everybody's first word on each line, as it stands now."""
    from preference_data.store_file import open_store

    store = open_store(path)
    try:
        return list(_verdicts(store))
    finally:
        store.close()


def _verdicts(store: Store) -> Iterable[dict[str, Any]]:
    from preference_data.judgements import current
    from preference_data.tasks import all_tasks

    keys = {task.id: task.detail["key"] for task in all_tasks(store, "mode = 'line'")}
    for (task_id, annotator, round), event in sorted(current(store).items()):
        if round == 1 and event.judgement is not None and task_id in keys:
            reasons = [{"kind": r.kind, "start": r.start, "end": r.end} for r in event.judgement.reasons]
            said = {"reader": annotator, "verdict": event.judgement.choice, "reasons": reasons, "hints": event.judgement.hints}
            yield {"key": keys[task_id], **said}
