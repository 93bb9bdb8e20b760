"""Attributes from a person at the terminal, or from a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from npc_align.domain import Attribute, Attributes, Domain, Value
from npc_align.errors import UserError


def ask(domain: Domain) -> Attributes:
    """Attributes from the terminal, asked until they are coherent."""
    while True:
        attributes: Attributes = {}
        for attribute in domain.attributes:
            value = _ask_one(attribute)
            if value is not None:
                attributes[attribute.key] = value
        wrong = domain.problems(attributes)
        if not wrong:
            return attributes
        click.echo(f"{wrong[0]}\nOnce more:")


def read_attributes(path: Path, domain: Domain) -> list[Attributes]:
    """Attribute sets of a JSON file: one object, a list of them, or one per line; `-` reads standard input.

    An object holds the attributes themselves, as in a corpus (a line beside them is ignored), or under `attributes`.

    Raises:
        UserError: unreadable, empty, or attributes outside the domain, naming the record.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    records = _records(text, path)
    if not records:
        raise UserError(f'{path}: nothing in it; write an object, e.g. {{"{domain.attributes[0].key}": "…"}}')
    return [_attributes(record, f"{path}: record {number}", domain) for number, record in enumerate(records, 1)]


def _records(text: str, path: Path) -> list[Any]:
    try:
        whole = json.loads(text)
        return whole if isinstance(whole, list) else [whole]
    except ValueError:
        rows = [(number, row) for number, row in enumerate(text.splitlines(), 1) if row.strip()]
    records = []
    for number, row in rows:
        try:
            records.append(json.loads(row))
        except ValueError as error:
            raise UserError(f"{path}:{number}: not JSON ({error}); write one object, a list of them, or one per line") from error
    return records


def _attributes(record: Any, name: str, domain: Domain) -> Attributes:
    given = record.get("attributes", record) if isinstance(record, Mapping) else record
    if not isinstance(given, Mapping):
        raise UserError(f"{name}: {given!r}: must be an object of attributes")
    attributes = {k: v for k, v in given.items() if v is not None and k != domain.line_key}
    wrong = domain.problems(attributes)
    if wrong:
        raise UserError(f"{name}: {wrong[0]}")
    return attributes


def _ask_one(attribute: Attribute) -> Value | None:
    values = list(attribute.labels)
    choices = "  ".join(f"{i}) {attribute.labels[v]}" for i, v in enumerate(values, 1))
    while True:
        answer = click.prompt(f"{attribute.prompt_key}: {choices}\n>", default="", show_default=False, prompt_suffix=" ").strip()
        if not answer:
            return None
        by_label = {label: value for value, label in attribute.labels.items()}
        if answer in by_label:
            return by_label[answer]
        if answer.isdecimal() and 1 <= int(answer) <= len(values):
            return values[int(answer) - 1]
        click.echo(f"{answer!r}: choose 1 to {len(values)}, or one of {', '.join(by_label)}")
