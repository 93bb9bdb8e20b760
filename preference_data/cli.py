"""The command `npc-pref`: from sampled lines to the pairs that DPO trains on."""

from __future__ import annotations

import io
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npc_align.cli import DEFAULT_DOMAIN, FriendlyGroup, listed
from npc_align.errors import UserError
from npc_align.progress import counted, watching
from preference_data.exchange_cli import doctor, import_, init, log, merge, pack
from preference_data.export_cli import export
from preference_data.label_cli import label
from preference_data.options import opened, store_option
from preference_data.pair_cli import pair
from preference_data.people_cli import agreement, assign, review, stats
from preference_data.read_cli import read

if TYPE_CHECKING:
    from npc_align.domain import Domain
    from preference_data.candidates import Tally

# Everything else is imported inside the commands: checking loads a morphological analyser, generating a model.

_PATH = click.Path(path_type=Path, dir_okay=False)
_corpus_option = click.option(
    "--corpus", type=_PATH, help="Corpus whose training prompts and lines are used; default: the domain's own."
)


@click.group(cls=FriendlyGroup)
def main() -> None:
    """Preference pairs for DPO: sample lines, check them, pair good ones with bad ones, judge them.

    \b
    npc-pref init                        the project's store, runs/pref/prefs.db
    npc-pref generate --model runs/sft   sample lines for the training prompts
    npc-pref check                       what is wrong with each line
    npc-pref pair                        a clean line of the model's own against each bad one
    npc-pref label                       people judge: as many as like, or nobody
    npc-pref export                      TRL's prompt / chosen / rejected: runs/pref/preferences.jsonl

    All work on one store and can be run again at any time: what is done stays done.
    """
    # A Korean Windows redirects into CP949, which has no ✓: a sign that can't be printed must not end a command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


for _command in (init, import_, pair, doctor, log, label, pack, merge, assign, agreement, review, stats, export, read):
    main.add_command(_command)


@main.command()
@store_option
@click.option(
    "--model", help="Run folder of sft/train.py or dpo/train.py, adapter, merged model or `embedded`.  [default: runs/sft]"
)
@click.option(
    "--server",
    metavar="URL",
    help="Sample from an OpenAI-compatible server instead, such as http://localhost:8000/v1; --model is its name there.",
)
@_corpus_option
@click.option("--samples", default=2, show_default=True, type=click.IntRange(1), help="Lines per prompt.")
@click.option(
    "--temperature", default=1.0, show_default=True, type=click.FloatRange(0), help="0 is greedy decoding, with --samples 1."
)
@click.option("--top-p", default=1.0, show_default=True, type=click.FloatRange(0, 1, min_open=True))
@click.option("--seed", default=0, show_default=True)
@click.option("--batch-size", default=128, show_default=True, type=click.IntRange(1))
@click.option("--max-new-tokens", default=64, show_default=True, type=click.IntRange(1))
@click.option("--limit", type=click.IntRange(1), help="Only the first N training prompts.")
@click.option(
    "--mistaken",
    default="",
    metavar="KIND,…",
    help="Only the prompts where a checked sample of a smaller --seed breaks one of these rules.",
)
def generate(store_path: Path, mistaken: str, **options: Any) -> None:
    """Sample candidate lines from a trained model (needs torch), or from a server such as vLLM or llama.cpp (doesn't).

    \b
    Example: npc-pref generate --model runs/sft --samples 4
    Example: npc-pref generate --server http://localhost:8000/v1 --model npc-greeter
    Example: npc-pref generate --temperature 0 --samples 1
    Example: npc-pref generate --mistaken class_item_mismatch,result_contradiction --samples 6 --seed 1

    On several GPUs the processes share the prompts: accelerate launch --multi_gpu $(which npc-pref) generate

    Interrupted, the same command goes on. For another round after DPO, sample runs/dpo into the same store: npc-pref pair then takes
    the newest model's mistakes first. After npc-pref check, --mistaken with a larger --seed samples more where the model erred: there
    it errs again. A server that wants a key gets it from the environment variable NPC_PREF_API_KEY. Ollama's OpenAI interface knows neither
    top_k nor a repetition penalty: set top_k 0 and repeat_penalty 1 in its Modelfile.
    """
    from preference_data.generate import run

    with opened(store_path) as store:
        new = run(store, mistaken=listed(mistaken), **options)
        click.echo(f"{store_path}: {new} new candidates, {store.count('candidate')} in all")


@main.command()
@store_option
@_corpus_option
@click.option("--kind", "kinds", multiple=True, help="Only this kind of mistake; can be given several times.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other places and words.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N training prompts.")
def corrupt(store_path: Path, corpus: Path | None, kinds: tuple[str, ...], seed: int, limit: int | None) -> None:
    """Add corpus lines with one mistake each, verified by the checks, and the corpus lines themselves.

    For npc-pref pair --chosen corpus, where a model says hardly a clean line: beside its own lines a corruption would teach whose voice
    is right, and not what is wrong with it.

    Example: npc-pref corrupt --limit 200
    """
    from preference_data.corrupt import CORRUPTIONS
    from preference_data.corrupted import corrupt_store
    from preference_data.prompts import corpus_of

    unknown = sorted(set(kinds) - set(CORRUPTIONS))
    if unknown:
        raise UserError(f"--kind {', '.join(unknown)}: can't be made; there are: {', '.join(CORRUPTIONS)}")
    with opened(store_path) as store:
        source = corpus_of(corpus, store.domain)
        made = corrupt_store(store, source, sorted(kinds) or list(CORRUPTIONS), limit, seed, watching("Corrupting"))
    click.echo(f"{store_path}: {made.total()} corruptions")
    _print_counts(made)


@main.command()
@store_option
@click.option("--input", "source", type=_PATH, help="Check a file instead: candidates or a corpus, JSONL.")
@click.option("--output", "output", type=_PATH, help="For --input: the same rows with their violations, JSONL.")
@click.option("--domain", "domain_name", metavar="NAME|PATH", help=f"For --input.  [default: {DEFAULT_DOMAIN}]")
@click.option("--strict", is_flag=True, help="Exit 1 when any line breaks a rule.")
@click.option("--explain", is_flag=True, help="Print each line's morphemes, sentences and verdicts, and which check spoke.")
def check(
    store_path: Path, source: Path | None, output: Path | None, domain_name: str | None, strict: bool, explain: bool
) -> None:
    """Say of every line what is wrong with it: of those in the store that today's rules haven't seen, or of a file's.

    \b
    Example: npc-pref check
    Example: npc-pref check --input lines.jsonl --output checked.jsonl --explain
    """
    if (source is None) != (output is None):
        raise click.UsageError("--input and --output go together; without both, the store is checked")
    if source is not None and output is not None:
        found = _check_file(source, output, domain_name or DEFAULT_DOMAIN, explain)
    elif domain_name is not None:
        raise click.UsageError("--domain is for --input; a store has its own")
    else:
        found = _check_store(store_path, explain)
    click.echo(f"{output or store_path}: {found.lines} lines, {found.bad} break a rule")
    _print_counts(found.kinds)
    if strict and found.bad:
        raise click.exceptions.Exit(1)


def _check_file(source: Path, output: Path, domain_name: str, explain: bool) -> Tally:
    from npc_align.corpus import read_jsonl, write_jsonl
    from npc_align.domain import load_domain
    from preference_data.candidates import Tally, check_rows, read_row

    if not source.is_file():
        raise UserError(f"--input {source}: no such file; without --input, the store is checked")
    domain, found = load_domain(domain_name), Tally()
    write_jsonl(output, found.counted(check_rows((row for _, row in read_jsonl(source)), domain, watching("Checking"))))
    if explain:
        for number, row in read_jsonl(output):
            attributes, line = read_row(row, number, domain)
            _explain(line, attributes, domain, row.get("finished", True))
    return found


def _check_store(store_path: Path, explain: bool) -> Tally:
    from preference_data.candidates import Tally, check_store

    with opened(store_path) as store:
        if not store.count("candidate"):
            raise UserError(
                f"{store_path}: no candidates yet; add some with: npc-pref generate, npc-pref corrupt or npc-pref import"
            )
        with counted(store.unchecked(store.rules), "Checking") as advance:
            check_store(store, advance)
        if explain:
            for candidate in store.candidates(store.rules):
                _explain(candidate.line, candidate.attributes, store.domain, candidate.finished)
        found = Tally()
        for violations in store.verdicts(store.rules):
            found.add(violations)
        return found


def _explain(line: str, attributes: dict[str, Any], domain: Domain, finished: bool) -> None:
    from npc_align.checks.explain import explain

    # What a terminal can't print must not end the listing.
    click.echo(explain(line, attributes, domain, finished=finished).encode("utf-8", "replace").decode("utf-8"))


def _print_counts(counts: Counter[str]) -> None:
    for name, count in counts.most_common():
        click.echo(f"  {name:<24}{count}")
