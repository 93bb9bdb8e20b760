"""npc-data: check, describe, split, augment and convert greeting corpora, and draw attribute sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from npc_align import corpus, splits
from npc_align.checks_cli import checks_report_command, speech_level
from npc_align.cli import FriendlyGroup, domain_option, json_option
from npc_align.domain import Domain, load_domain
from npc_align.errors import UserError
from npc_align.progress import watched

_ALIASES = {"v1": "weapon_rental_v1"}
_file = click.argument("file", type=click.Path(path_type=Path))


@click.group(cls=FriendlyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Check, describe, split, augment and convert a greeting corpus, or draw attribute sets.

    \b
    Example:
      npc-data check corpus.jsonl
    """


main.add_command(speech_level)
main.add_command(checks_report_command)


@main.command()
@_file
@domain_option
@json_option
@click.option("--strict", is_flag=True, help="Lines that break a rule make the command fail, too.")
def check(file: Path, domain_name: str, as_json: bool, strict: bool) -> None:
    """Name every bad record of FILE, and every line that breaks a rule.

    Exit code 1 if a record is bad (with --strict also if a line breaks a rule), else 0.

    \b
    Example:
      npc-data check corpus.jsonl --strict
    """
    domain = load_domain(domain_name)
    examples, problems = corpus.scan(file, domain)
    warnings = _violations(examples, domain)
    if as_json:
        _print_json(
            {
                "good": len(examples),
                "problems": [_problem_row(p) for p in problems],
                "warnings": [_warning_row(*w) for w in warnings],
            }
        )
    else:
        for problem in problems:
            click.echo(problem)
        for example, violation in warnings:
            number = example.id.rpartition(":")[2]
            click.echo(f"{file}:{number}: warning: {violation.kind}: {violation.message}: {example.line}")
        bad_records = len({problem.line_number for problem in problems})
        bad_lines = len({example.id for example, _ in warnings})
        click.echo(f"{len(examples)} good records, {bad_records} bad ones; {bad_lines} lines break a rule")
    if problems or (strict and warnings):
        raise click.exceptions.Exit(1)


def _violations(examples: Sequence[corpus.Example], domain: Domain) -> list[tuple[corpus.Example, Any]]:
    # The checks load word lists and a morphological analyser: only this command needs them.
    from npc_align.checks import check_line

    with watched(examples, "Checking") as shown:
        return [(example, violation) for example in shown for violation in check_line(example.line, example.attributes, domain)]


def _problem_row(problem: corpus.RecordProblem) -> dict[str, Any]:
    return {
        "path": problem.path,
        "line": problem.line_number,
        "field": problem.field,
        "value": problem.value,
        "message": problem.message,
    }


def _warning_row(example: corpus.Example, violation: Any) -> dict[str, Any]:
    return {
        "id": example.id,
        "text": example.line,
        "kind": violation.kind,
        "start": violation.start,
        "end": violation.end,
        "message": violation.message,
    }


@main.command()
@_file
@domain_option
@json_option
@click.option("--keywords", is_flag=True, help="Also the words that a class, an item or a result has too many of.")
def stats(file: Path, domain_name: str, as_json: bool, keywords: bool) -> None:
    """Describe FILE: counts per value, lengths, repetition, variety, and on request over-represented words.

    \b
    Example:
      npc-data stats corpus.jsonl --keywords
    """
    from npc_align import corpus_report

    domain = load_domain(domain_name)
    examples = corpus.read_examples(file, domain)
    found = corpus_report.statistics(examples, domain)
    if keywords:
        found["keywords"] = corpus_report.keywords(examples, domain)
    if as_json:
        _print_json(found)
        return
    for key, value in found.items():
        if key == "values":
            for attribute, counts in value.items():
                click.echo(f"{attribute}: {_pairs(counts)}")
        elif key == "keywords":
            _print_keywords(value)
        else:
            click.echo(f"{key.replace('_', ' ')}: {_pairs(value) if isinstance(value, dict) else value}")


@main.command("corpus-report")
@_file
@domain_option
@json_option
@click.option("--strict", is_flag=True, help="A figure over its limit makes the command fail.")
def corpus_report_command(file: Path, domain_name: str, as_json: bool, strict: bool) -> None:
    """Say whether FILE is fit to train on: repetition, shared openings, empty cells, rules, and variety per personality.

    \b
    Example:
      npc-data corpus-report corpus.jsonl --strict
    """
    from npc_align import corpus_report

    domain = load_domain(domain_name)
    examples = corpus.read_examples(file, domain)
    broken = {example.id for example, _ in _violations(examples, domain)}
    figures = corpus_report.fitness(examples, domain, lambda example: example.id not in broken)
    varied, words = corpus_report.variety(examples, domain), corpus_report.keywords(examples, domain)
    if as_json:
        rows = [{"name": f.name, "value": f.value, "limit": f.limit, "fit": f.fit} for f in figures]
        _print_json({"examples": len(examples), "figures": rows, "variety": varied, "keywords": words})
    else:
        click.echo(f"{len(examples)} lines")
        for figure in figures:
            value = f"{figure.value:.2%}" if figure.name.startswith("share") else f"{figure.value:.0f}"
            limit = f"{figure.limit:.0%}" if figure.name.startswith("share") else f"{figure.limit:.0f}"
            click.echo(f"{'fit    ' if figure.fit else 'NOT FIT'} {figure.name}: {value} (at most {limit})")
        for personality, values in varied.items():
            click.echo(f"{personality}: {_pairs({name.replace('_', ' '): value for name, value in values.items()})}")
        _print_keywords(words)
    if strict and not all(figure.fit for figure in figures):
        raise click.exceptions.Exit(1)


def _print_keywords(found: dict[str, dict[str, Any]]) -> None:
    click.echo("over-represented words (lines, z-score):")
    for role, values in found.items():
        for value, entry in values.items():
            strongest = ", ".join(f"{k['word']} {k['lines']} ({k['z']:.1f})" for k in entry["strongest"])
            click.echo(f"  {role} {value}: {entry['words']}{': ' if strongest else ''}{strongest}")


@main.command()
@_file
@domain_option
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for train.jsonl, validation.jsonl, test.jsonl."
)
@click.option("--fix", is_flag=True, help="Write the splits file beside FILE: everybody's splits from then on.")
@click.option("--seed", type=int, help="Draw a new split with this seed, whatever the splits file says.")
def split(file: Path, domain_name: str, output: Path | None, fix: bool, seed: int | None) -> None:
    """Split FILE into train, validation and test, as files (--output), as the file that fixes the splits (--fix), or both.

    Equal attribute combinations and nearly equal lines always stay on one side. Where the splits are fixed already they are
    kept, unless --seed or --fix asks for new ones.

    \b
    Example:
      npc-data split corpus.jsonl --output splits --seed 1
    """
    if output is None and not fix:
        raise click.UsageError("give --output FOLDER, --fix, or both")
    domain = load_domain(domain_name)
    if fix or seed is not None:
        originals = [e for e in corpus.read_examples(file, domain) if e.augmented_from is None]
        parts = splits.split_examples(originals, domain, seed=seed or 0)
    else:
        parts = splits.load_splits(file, domain)
    if fix:
        click.echo(f"{splits.fix_splits(file, parts, domain)}: {_pairs({name: len(part) for name, part in parts.items()})}")
    if output is not None:
        splits.write_splits(output, parts, domain)
        for name, examples in parts.items():
            click.echo(f"{output / name}.jsonl: {len(examples)}")


@main.command()
@_file
@domain_option
@click.option(
    "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Corpus to write: FILE and its copies."
)
@click.option("--limit", type=click.IntRange(min=1), help="The most copies; never more than FILE has lines.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other items.")
def augment(file: Path, domain_name: str, output: Path, limit: int | None, seed: int) -> None:
    """Add counterfactual copies to FILE: the same line about another item of the class, or said by another class.

    A line about an item that isn't the speaker's class's own serves every class to which that item is just as strange.
    Copies are marked; they train only where their source does, and are in no validation or test split.

    \b
    Example:
      npc-data augment corpus.jsonl --output augmented.jsonl
    """
    from npc_align.augment import counterfactuals

    domain = load_domain(domain_name)
    if output.resolve() == file.resolve():
        raise UserError(f"{output}: this is the source; name another file")
    examples = [e for e in corpus.read_examples(file, domain) if e.augmented_from is None]
    copies = counterfactuals(examples, domain, limit=limit, seed=seed)
    files: dict[Path, Any] = {
        output: (corpus.to_record(e.attributes, e.line, domain, e.augmented_from) for e in [*examples, *copies])
    }
    corpus.write_together(files)
    if splits.splits_file(file).is_file():
        # The groups are those of the source lines, so the source's splits hold for the copy of the corpus too.
        splits.fix_splits(output, splits.load_splits(file, domain), domain)
    click.echo(f"{output}: {len(examples)} lines and {len(copies)} copies")


@main.command()
@_file
@domain_option
@click.option("--from", "source_name", required=True, metavar="v1|NAME|PATH", help="The domain FILE is written in.")
@click.option("--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
def convert(file: Path, domain_name: str, source_name: str, output: Path) -> None:
    """Bring FILE from another domain to --domain. What it doesn't say stays unset.

    \b
    Example:
      npc-data convert old.jsonl --from v1 --output corpus.jsonl
    """
    source, target = load_domain(_ALIASES.get(source_name, source_name)), load_domain(domain_name)
    records: dict[str, dict[str, Any]] = {}
    examples = corpus.read_examples(file, source)
    for example in examples:
        attributes = source.convert(example.attributes, target.name)
        wrong = target.problems(attributes)
        if wrong:
            raise UserError(f"{example.id} doesn't fit domain {target.name}: {wrong[0]}; mend convert_to of {source.name}")
        # Records that differed only in what the target doesn't know become the same one.
        records.setdefault(
            f"{target.combination(attributes)}\n{example.line}", corpus.to_record(attributes, example.line, target)
        )
    corpus.write_jsonl(output, records.values())
    click.echo(f"{output}: {len(records)} records, {len(examples) - len(records)} duplicates left out")


@main.command()
@domain_option
@click.option("--count", required=True, type=click.IntRange(min=1), help="How many attribute sets.")
@click.option("--seed", required=True, type=int, help="The same seed draws the same sets.")
@click.option("--exclude", type=click.Path(path_type=Path), help="A corpus whose attribute combinations are not drawn.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write instead of stdout.")
def draw(domain_name: str, count: int, seed: int, exclude: Path | None, output: Path | None) -> None:
    """Draw attribute sets that no line uses yet, as JSONL of {"attributes": …}.

    \b
    Example:
      npc-data draw --count 100 --seed 1 --exclude corpus.jsonl --output test_prompts.jsonl
    """
    domain = load_domain(domain_name)
    taken = [domain.combination(e.attributes) for e in corpus.read_examples(exclude, domain)] if exclude else []
    rows = [{"attributes": attributes} for attributes in domain.draw(count, seed, taken)]
    if output is None:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    else:
        corpus.write_jsonl(output, rows)
        click.echo(f"{output}: {len(rows)} attribute sets")


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def _pairs(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
