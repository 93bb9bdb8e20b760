"""A store as sampling leaves it, and npc-pref's commands on it, for the tests of pairing and of the whole way."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from npc_align.domain import default_corpus, load_domain
from npc_align.prompt import render
from preference_data.cli import main
from preference_data.prompts import TrainingPrompt, training_prompts
from preference_data.store import NewCandidate
from preference_data.store_file import create_store

DOMAIN = load_domain("weapon_rental")


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def some_prompts() -> list[TrainingPrompt]:
    """Four prompts of each personality, so that balancing takes none away."""
    of_each: dict[Any, list[TrainingPrompt]] = defaultdict(list)
    for prompt in training_prompts(default_corpus("weapon_rental"), DOMAIN):
        of_each[DOMAIN.role(prompt.attributes, "personality")].append(prompt)
    return [prompt for own in of_each.values() for prompt in own[:4]]


def fill(path: Path, prompts: list[TrainingPrompt]) -> None:
    """What sampling leaves: of each prompt its corpus line, a sample that is good, and one with a foreign word or said twice."""
    store = create_store(path, "weapon_rental")
    for index, prompt in enumerate(prompts):
        line, text = prompt.examples[0].line, render(prompt.attributes, DOMAIN)
        bad = f"{line} really?" if index % 2 else f"{line} {line}"
        origin = {"kind": "sampled", "checkpoint": "sft", "decoding": {"do_sample": True}, "seed": 0}
        samples = [NewCandidate(prompt.attributes, said, origin, text, True, prompt.group) for said in (f"{line} 하하.", bad)]
        store.add_candidates([*prompt.corpus_lines(text), *samples])
    store.close()


def paired(store_path: Path, *options: Any, chosen: str = "corpus") -> dict[str, Any]:
    assert run("check", "--store", store_path).exit_code == 0
    fixed = ("--store", store_path, "--chosen", chosen, "--kind-cap", 1, "--json")
    options = (*options, "--corrupted-share", 1) if chosen == "corpus" else options
    result = run("pair", *fixed, *options)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def exported(store_path: Path, *options: Any) -> list[dict[str, Any]]:
    output = store_path.with_name("preferences.jsonl")
    result = run("export", "--store", store_path, "--output", output, *options)
    assert result.exit_code == 0, result.output
    return [
        {key: json.loads(value) if key.endswith("_origin") else value for key, value in row.items()} for row in rows_of(output)
    ]
