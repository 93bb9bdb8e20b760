"""npc-pref pair --order uncertain: whose margins count, what is computed, what is kept, and in which order pairs are shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from npc_align.domain import default_corpus, load_domain
from npc_align.modeling import scoring
from preference_data import local_model
from preference_data.cli import main
from preference_data.prompts import training_prompts
from preference_data.store import NewCandidate, Store
from preference_data.store_file import create_store, open_store
from preference_data.tasks import all_tasks

DOMAIN = load_domain("weapon_rental")


class FakeModel:
    """Holds a line the likelier, the longer it is; counts what it is asked, and can be interrupted."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stop_after: int | None = None

    def score(self, model: Any, codec: Any, texts: Sequence[tuple[str, str]], **_: Any) -> Iterator[dict[int, scoring.Score]]:
        for place, (_, line) in enumerate(texts):
            if self.stop_after is not None and place >= self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(line)
            yield {place: scoring.Score(-1000.0 + len(line), 10)}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    made = FakeModel()
    loaded = SimpleNamespace(model=None, codec=None, domain=DOMAIN, renderer="user_assistant", tokenizer=None)
    monkeypatch.setattr(scoring, "score_completions", made.score)
    monkeypatch.setattr(local_model, "loaded_model", lambda path, store: loaded)
    return made


def adapter(path: Path, content: bytes) -> Path:
    path.mkdir(exist_ok=True)
    (path / "adapter_config.json").write_text("{}", encoding="utf-8")
    (path / "adapter_model.safetensors").write_bytes(content)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Six prompts, each with its corpus line and one sample with a foreign word; the later, the longer than the corpus line."""
    made = create_store(tmp_path / "prefs.db", "weapon_rental")
    for index, prompt in enumerate(training_prompts(default_corpus("weapon_rental"), DOMAIN)[:6]):
        line = prompt.examples[0].line
        sample = NewCandidate(prompt.attributes, f"{line} really{'y' * index}?", {"kind": "sampled", "checkpoint": "sft"})
        made.add_candidates([*prompt.corpus_lines(), sample])
    made.add_verdicts(made.rules, [(c.id, _verdict(c.line)) for c in made.candidates(made.rules)])
    yield made
    made.close()


def _verdict(line: str) -> list[dict[str, Any]]:
    return [{"kind": "foreign_text", "start": 0, "end": 1, "message": ""}] if "really" in line else []


def pair(store: Store, *options: Any) -> Result:
    fixed = ["--store", str(store.path), "--chosen", "corpus", "--kind-cap", "1", "--json"]
    return CliRunner().invoke(main, ["pair", *fixed, *map(str, options)])


def shown(store: Store) -> list[int]:
    """By how many characters the lines of each pair differ, in the order of showing."""
    tasks = all_tasks(store, "mode = 'pair' AND NOT retired")
    lines = [[len(store.candidate(str(i), store.rules).line) for i in (t.first_id, t.second_id)] for t in tasks]
    return [abs(first - second) for first, second in lines]


def test_what_the_model_is_least_sure_of_is_shown_first(store: Store, fake: FakeModel, tmp_path: Path) -> None:
    assert pair(store).exit_code == 0
    before = shown(store)
    assert before != sorted(before)
    result = pair(store, "--order", "uncertain", "--model", adapter(tmp_path / "sft", b"weights"))
    assert result.exit_code == 0, result.output
    assert shown(store) == sorted(before)
    told = json.loads(result.stdout)["uncertainty"]
    assert (told["model"], told["prefers_chosen"], told["lines_scored_now"]) == (str(tmp_path / "sft"), 0, 12)


def test_a_line_is_scored_once_for_each_state_of_a_model(store: Store, fake: FakeModel, tmp_path: Path) -> None:
    path = adapter(tmp_path / "sft", b"weights")
    for asked in (12, 12):
        assert pair(store, "--order", "uncertain", "--model", path).exit_code == 0
        assert len(fake.asked) == asked
    assert pair(store, "--order", "uncertain").exit_code == 0, "the model that was asked last needs no name"
    assert len(fake.asked) == 12
    adapter(path, b"trained further")
    assert pair(store, "--order", "uncertain", "--model", path).exit_code == 0
    assert len(fake.asked) == 24


def test_an_interruption_costs_one_batch(store: Store, fake: FakeModel, tmp_path: Path) -> None:
    path = adapter(tmp_path / "sft", b"weights")
    fake.stop_after = 5
    assert pair(store, "--order", "uncertain", "--model", path).exit_code == 130
    assert store.count("task") == 0
    fake.stop_after = None
    assert pair(store, "--order", "uncertain", "--model", path).exit_code == 0
    assert len(fake.asked) == len(set(fake.asked)) == 12


def test_what_is_missing_is_told(store: Store, fake: FakeModel, tmp_path: Path) -> None:
    result = pair(store, "--order", "uncertain")
    assert (result.exit_code, store.count("task")) == (1, 0)
    assert "the store has no model's log-probabilities yet; say whose, such as --model runs/sft" in result.output
    path = adapter(tmp_path / "sft", b"weights")
    assert pair(store, "--order", "uncertain", "--model", path).exit_code == 0
    with store.transaction() as db:
        db.execute("DELETE FROM likelihood WHERE candidate_id = (SELECT min(candidate_id) FROM likelihood)")
    result = pair(store, "--order", "uncertain")
    assert result.exit_code == 1
    assert f"1 of 12 lines have no log-probability under {path} yet; add --model {path}" in result.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "runs/sft"], "--model is for --order uncertain"),
        (["--order", "uncertain", "--mode", "line"], "goes with --mode pair"),
        (["--order", "uncertain", "--model", "nowhere"], "no such folder"),
    ],
)
def test_what_does_not_go_together_is_refused(store: Store, options: list[str], told: str) -> None:
    result = pair(store, *options)
    assert result.exit_code != 0
    assert told in " ".join(result.output.split())


def test_a_real_model_orders_pairs_by_its_own_margins(store: Store, tiny_model: Path) -> None:
    result = pair(store, "--order", "uncertain", "--model", tiny_model, "--batch-size", 5)
    assert result.exit_code == 0, result.output
    again = open_store(store.path)
    means = dict(again.db.execute("SELECT candidate_id, log_probability / tokens FROM likelihood"))
    again.close()
    tasks = all_tasks(store, "mode = 'pair'")
    margins = [abs(means[t.first_id] - means[str(t.second_id)]) for t in tasks]
    assert len(margins) == 6
    assert margins == sorted(margins)
    assert len(set(margins)) == 6
