"""The command `npc-pref`: from sampled lines to the pairs that DPO trains on."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from npc_align.cli import FriendlyGroup, domain_option, json_option
from npc_align.domain import Domain, default_corpus, load_domain
from npc_align.errors import UserError

# Everything else is imported inside the commands: checking loads a morphological analyser, generating a model.

_PATH = click.Path(path_type=Path, dir_okay=False)
_ROOM = Path("runs/pref")


def _file_option(flag: str, name: str, default: str, text: str) -> Callable[..., Any]:
    """An option for a file of the way from candidates to preferences, which by default lies in runs/pref."""
    return click.option(flag, name, default=_ROOM / default, show_default=True, type=_PATH, help=text)


@click.group(cls=FriendlyGroup)
def main() -> None:
    """Preference pairs for DPO: generate, check, pair, export.

    \b
    npc-pref generate --model runs/sft --output runs/pref/candidates.jsonl
    npc-pref check --input runs/pref/candidates.jsonl --output runs/pref/checked.jsonl
    npc-pref pair --candidates runs/pref/checked.jsonl --output runs/pref/pairs.jsonl
    npc-pref export --pairs runs/pref/pairs.jsonl --output runs/pref/preferences.jsonl

    These paths are the defaults, so the four commands run without arguments, too.
    """


@main.command()
@click.option("--model", default="runs/sft", show_default=True, help="Run folder of sft/train.py, adapter or merged model.")
@_file_option("--output", "output", "candidates.jsonl", "Candidates, JSONL.")
@click.option("--corpus", type=_PATH, help="Corpus whose training prompts are sampled; default: the domain's own.")
@click.option("--domain", "domain_name", metavar="NAME|PATH", help="Default: the domain that the model was trained on.")
@click.option("--samples", default=2, show_default=True, type=click.IntRange(1), help="Lines per prompt.")
@click.option("--temperature", default=1.0, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--top-p", default=1.0, show_default=True, type=click.FloatRange(0, 1, min_open=True))
@click.option("--seed", default=0, show_default=True)
@click.option("--batch-size", default=128, show_default=True, type=click.IntRange(1))
@click.option("--max-new-tokens", default=64, show_default=True, type=click.IntRange(1))
@click.option("--limit", type=click.IntRange(1), help="Only the first N training prompts.")
def generate(domain_name: str | None, **options: Any) -> None:
    """Sample candidate lines from a trained model (needs torch).

    Example: npc-pref generate --model runs/sft --output runs/pref/candidates.jsonl --samples 4
    """
    from preference_data.generate import run

    run(domain=domain_name, **options)


@main.command()
@_file_option("--input", "source", "candidates.jsonl", "Candidates, or a corpus, JSONL.")
@_file_option("--output", "output", "checked.jsonl", "The same rows with their violations, JSONL.")
@domain_option
@click.option("--strict", is_flag=True, help="Exit 1 when any line breaks a rule.")
@click.option("--explain", is_flag=True, help="Print each line's morphemes, sentences and verdicts, and which check spoke.")
def check(source: Path, output: Path, domain_name: str, strict: bool, explain: bool) -> None:
    """Add to every row what is wrong with its line.

    Example: npc-pref check --input runs/pref/candidates.jsonl --output runs/pref/checked.jsonl
    """
    from npc_align.corpus import write_jsonl
    from preference_data.candidates import check_rows

    domain = load_domain(domain_name)
    rows = check_rows(_read(source, "npc-pref generate"), domain, _bar("Checking"))
    write_jsonl(output, rows)
    if explain:
        _explain(rows, domain)
    bad = [row for row in rows if row["violations"]]
    click.echo(f"{output}: {len(rows)} lines, {len(bad)} break a rule")
    for kind, count in Counter(kind for row in bad for kind in {v["kind"] for v in row["violations"]}).most_common():
        click.echo(f"  {kind:<24}{count}")
    if strict and bad:
        raise click.exceptions.Exit(1)


def _explain(rows: Iterable[dict[str, Any]], domain: Domain) -> None:
    from npc_align.checks.explain import explain
    from preference_data.candidates import read_row

    for number, row in enumerate(rows, start=1):
        attributes, line = read_row(row, number, domain)
        told = explain(line, attributes, domain, finished=row.get("finished", True))
        click.echo(told.encode("utf-8", "replace").decode("utf-8"))


@main.command()
@_file_option("--candidates", "candidates", "checked.jsonl", "Checked candidates, JSONL.")
@_file_option("--output", "output", "pairs.jsonl", "Pairs, JSONL.")
@click.option("--corpus", type=_PATH, help="Corpus with the good lines; default: the domain's own.")
@domain_option
@click.option("--seed", default=0, show_default=True)
@click.option("--per-prompt", default=2, show_default=True, type=click.IntRange(1), help="The most pairs of one prompt.")
@click.option(
    "--corrupted-share", default=0.6, show_default=True, type=click.FloatRange(0, 1), help="The largest share of corruptions."
)
@json_option
def pair(
    candidates: Path,
    output: Path,
    corpus: Path | None,
    domain_name: str,
    seed: int,
    per_prompt: int,
    corrupted_share: float,
    as_json: bool,
) -> None:
    """Pair each bad line with the corpus line of the same attributes, balanced over kinds and personalities.

    Example: npc-pref pair --candidates runs/pref/checked.jsonl --output runs/pref/pairs.jsonl
    """
    from npc_align.corpus import write_jsonl
    from npc_align.splits import load_splits
    from preference_data.pairs import build_pairs

    domain = load_domain(domain_name)
    rows = _read(candidates, "npc-pref check")
    splits = load_splits(corpus or default_corpus(domain_name), domain)
    pairs, report = build_pairs(
        rows,
        splits,
        domain,
        per_prompt=per_prompt,
        corrupted_share=corrupted_share,
        seed=seed,
        progress=_bar("Pairing"),
    )
    write_jsonl(output, (made.to_row() for made in pairs))
    click.echo(json.dumps(report, ensure_ascii=False) if as_json else f"{output}: {report['pairs']} pairs\n{_readable(report)}")


@main.command()
@_file_option("--pairs", "pairs", "pairs.jsonl", "Pairs, JSONL.")
@_file_option("--output", "output", "preferences.jsonl", "TRL's prompt/chosen/rejected rows, JSONL; a manifest goes beside it.")
@domain_option
def export(pairs: Path, output: Path, domain_name: str) -> None:
    """Write the file that dpo/train.py reads, and its manifest.

    Example: npc-pref export --pairs runs/pref/pairs.jsonl --output runs/pref/preferences.jsonl
    """
    from preference_data.export import export as write

    _require(pairs, "npc-pref pair")
    manifest = write(pairs, output, load_domain(domain_name))
    click.echo(f"{output}: {manifest['pairs']} pairs for {manifest['prompts']} prompts")


def _require(path: Path, maker: str) -> None:
    if not path.is_file():
        raise UserError(f"{path}: no such file; {maker} makes it (npc-pref --help shows the whole way)")


def _read(path: Path, maker: str) -> list[dict[str, Any]]:
    from npc_align.corpus import read_jsonl

    _require(path, maker)
    rows = [row for _, row in read_jsonl(path)]
    if not rows:
        raise UserError(f"{path}: empty; {maker} makes it")
    return rows


def _bar(label: str) -> Any:
    """A function that shows a progress bar on stderr while it hands on what it is given."""

    def watched(things: Iterable[Any]) -> Iterator[Any]:
        with click.progressbar(things, label=label, file=sys.stderr) as bar:
            yield from bar

    return watched


def _readable(report: dict[str, Any]) -> str:
    lines = []
    for name, value in report.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {count}" for key, count in value.items())
        lines.append(f"  {name.replace('_', ' ')}: {value}")
    return "\n".join(lines)
