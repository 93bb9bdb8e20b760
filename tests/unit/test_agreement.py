"""Agreement: the figures of published examples, and nothing that depends on order or names."""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from click.testing import CliRunner
from opinions import CYCLE, say, say_all, store_with

from preference_data import people_cli
from preference_data.agreement import ALL, TOO_FEW, Figure, Group, agreement, alpha, kappa, raw_agreement, resampled_alphas
from preference_data.judgements import Judgement
from preference_data.store import Store
from preference_data.store_file import open_store
from preference_data.tasks import Shown, all_tasks, first_is_left

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", example C: four observers, twelve units, missing data.
EXAMPLE_C = {
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}
# Cohen 1960, table 1 (N = 200): rows are one judge's counts, columns the other's.
COHEN = ((88, 14, 18), (10, 40, 10), (2, 6, 12))


def units(rows: Mapping[str, str]) -> list[dict[str, str]]:
    columns = zip(*(text.split() for text in rows.values()), strict=True)
    return [{a: value for a, value in zip(rows, column, strict=True) if value != "."} for column in columns]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = store_with(tmp_path / "prefs.db", pairs=60, lines=12)
    yield made
    made.close()


def pair_words(count: int, *, seed: int = 0, noise: float = 0.3) -> list[dict[str, str | Judgement]]:
    """Three annotators who mostly find the first line better."""
    chance = random.Random(seed)
    other = ["second", "tie", "both_bad", "skip"]
    return [
        {a: chance.choice(other) if chance.random() < noise else "first" for a in ("mina", "junho", "sora")} for _ in range(count)
    ]


def test_alpha_of_krippendorffs_example() -> None:
    found = alpha(units(EXAMPLE_C))
    assert found.value == pytest.approx(0.743, abs=0.0005)
    assert found.n == 11
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.743 < found.high <= 1


def test_kappa_of_cohens_example() -> None:
    pairs = [(str(i), str(j)) for i, row in enumerate(COHEN) for j, count in enumerate(row) for _ in range(count)]
    assert kappa(pairs).value == pytest.approx(0.492, abs=0.0005)
    assert kappa([(b, a) for a, b in pairs]) == kappa(pairs)


def test_the_resampled_alphas_are_the_librarys() -> None:
    """Where every task is of one sort but one, a draw is told by how often that one comes."""
    counts = np.array([[2, 0, 0]] * 6 + [[0, 3, 0]] * 3 + [[1, 1, 2]])
    found = set(resampled_alphas(counts).round(9))
    possible = set()
    for first, second, third in itertools.product(range(11), repeat=3):
        if first + second + third == 10 and sum(map(bool, (first, second, third))) > (third == 0):
            drawn = np.repeat([[2, 0, 0], [0, 3, 0], [1, 1, 2]], [first, second, third], axis=0)
            possible.add(round(float(krippendorff.alpha(value_counts=drawn, level_of_measurement="nominal")), 9))
    assert len(found) > 20
    assert found <= possible


def test_alphas_interval_covers_what_is_true() -> None:
    """Two coders who agree by chance only: the interval holds 0 about 95 times of 100."""
    chance = random.Random(1)
    samples = [[{"a": chance.choice("xy"), "b": chance.choice("xy")} for _ in range(60)] for _ in range(100)]
    found = [alpha(sample) for sample in samples]
    assert sum(f.low is not None and f.high is not None and f.low <= 0 <= f.high for f in found) >= 88


def test_neither_order_nor_names_matter() -> None:
    said = units(EXAMPLE_C) * 3
    shuffled = [{{"A": "z", "B": "C", "C": "B", "D": "q"}[a]: word for a, word in reversed(unit.items())} for unit in said]
    random.Random(3).shuffle(shuffled)
    assert alpha(shuffled) == alpha(said)
    assert raw_agreement(shuffled).value == pytest.approx(raw_agreement(said).value or 0)


def test_little_data_and_data_without_variation_give_no_number() -> None:
    said = [{"a": "first", "b": "second"}] * (TOO_FEW - 1) + [{"a": "first"}]
    assert (alpha(said), raw_agreement(said)) == (Figure(9, why="too few"), Figure(9, why="too few"))
    assert kappa([("x", "y")] * (TOO_FEW - 1)) == Figure(9, why="too few")
    same = [{"a": "first", "b": "first"}] * 20
    assert (alpha(same), raw_agreement(same).value) == (Figure(20, why="no variation"), 1)
    assert kappa([("first", "first")] * 20) == Figure(20, why="no variation")


def test_opposites_are_worse_than_chance() -> None:
    said = [{"a": "first", "b": "second"}, {"a": "second", "b": "first"}] * 10
    assert alpha(said).value is not None
    assert (alpha(said).value or 0) < -0.9
    assert raw_agreement(said).value == 0


def test_skips_and_undone_words_are_missing_data(store: Store) -> None:
    say_all(store, [{"mina": "first", "junho": "skip"}] * 20 + [{"mina": "first", "junho": "first"}] * 20)
    group = agreement(store)["pair"][ALL]
    assert (group.tasks, group.raw) == (40, Figure(20, 1.0))


def test_figures_stand_by_mode_and_by_the_rejected_lines_kind(store: Store) -> None:
    words: list[Mapping[str, str | Judgement]] = [
        {"mina": "first", "junho": "second" if CYCLE[n % 3] == "josa_error" else "first"} for n in range(60)
    ]
    say_all(store, words + [{"mina": "bad", "junho": Judgement("fix")}] * 12)
    found = agreement(store)
    assert list(found) == ["pair", "line"]
    assert set(found["pair"]) == {ALL, *CYCLE}
    assert found["pair"]["josa_error"].raw == Figure(20, 0.0)
    assert found["pair"]["tone_break"].raw == Figure(20, 1.0)
    assert found["pair"][ALL].raw.value == pytest.approx(2 / 3)
    assert found["line"][ALL].raw == Figure(12, 1.0)
    assert found["line"]["none"].raw == Figure(6, why="too few")


def test_self_consistency_is_round_one_against_round_two_whatever_the_side(store: Store) -> None:
    tasks = all_tasks(store)[:24]
    for number, task in enumerate(tasks):
        say(store, task, {"mina": "first", "junho": "first"})
        say(store, task, {"mina": "first", "junho": "first" if number % 4 else "second"}, round=2)
        assert number or {first_is_left(Shown(t, r), "mina") for t in tasks for r in (1, 2)} == {True, False}
    say(store, all_tasks(store)[30], {"mina": "skip"})
    say(store, all_tasks(store)[30], {"mina": "first"}, round=2)
    found = agreement(store)["pair"][ALL]
    assert found.self_consistency.by_annotator["mina"].value == 1
    assert found.self_consistency.by_annotator["junho"].value == 0.75
    assert (found.self_consistency.overall.n, found.self_consistency.overall.value) == (48, 0.875)
    assert found.raw == Figure(24, 1.0)


def test_an_annotator_who_always_clicks_left_shows(store: Store) -> None:
    for task in all_tasks(store, "mode = 'pair'"):
        left = "first" if first_is_left(Shown(task, 1), "lefty") else "second"
        say(store, task, {"lefty": left, "fair": "first", "tied": "tie"})
    left = agreement(store)["pair"][ALL].left
    assert (left.by_annotator["lefty"].value, left.by_annotator["lefty"].n) == (1, 60)
    assert (left.by_annotator["lefty"].low or 0) > 0.9
    fair = left.by_annotator["fair"]
    assert (fair.low or 1) < 0.5 < (fair.high or 0)
    assert set(left.by_annotator) == {"lefty", "fair"}


def _renamed(found: Group, names: Mapping[str, str]) -> Group:
    """A group as it would be had the annotators these names."""

    def shares(of: dict[str, Figure]) -> dict[str, Figure]:
        return {names[a]: f for a, f in of.items()}

    kappas: dict[str, dict[str, Figure]] = {}
    for a, row in found.kappa.items():
        for b, figure in row.items():
            first, second = sorted((names[a], names[b]))
            kappas.setdefault(first, {})[second] = figure
    return replace(
        found,
        kappa=kappas,
        self_consistency=replace(found.self_consistency, by_annotator=shares(found.self_consistency.by_annotator)),
        left=replace(found.left, by_annotator=shares(found.left.by_annotator)),
    )


def test_events_in_another_order_and_annotators_under_other_names_give_the_same(store: Store, tmp_path: Path) -> None:
    names = {"mina": "z", "junho": "a", "sora": "m"}
    for task, said in zip(all_tasks(store), pair_words(60), strict=False):
        say(store, task, {a: Judgement(str(c), shown="first-left") for a, c in said.items()})
    before = agreement(store)
    events = store.db.execute("SELECT * FROM event").fetchall()
    store.close()
    with sqlite3.connect(store.path) as raw:
        raw.execute("DROP TRIGGER event_is_kept")
        raw.execute("DELETE FROM event")
        random.Random(5).shuffle(events)
        renamed = [(i, t, names[a], *rest) for i, t, a, *rest in events]
        raw.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", renamed)
    raw.close()
    again = open_store(store.path)
    after = agreement(again)
    again.close()
    assert after == {mode: {kind: _renamed(g, names) for kind, g in groups.items()} for mode, groups in before.items()}


def test_the_command_prints_tables_and_json(store: Store) -> None:
    empty = CliRunner().invoke(people_cli.agreement, ["--store", str(store.path)])
    assert "npc-pref label" in empty.stdout
    say_all(store, [{"민아" if a == "mina" else a: c for a, c in said.items()} for said in pair_words(60)])
    result = CliRunner().invoke(people_cli.agreement, ["--store", str(store.path), "--json"])
    assert result.exit_code == 0, result.output
    group = json.loads(result.stdout)["pair"]["all"]
    assert group["alpha"]["low"] < group["alpha"]["value"] < group["alpha"]["high"]
    assert set(group["kappa"]["junho"]) == {"sora", "민아"}
    assert group["self_consistency"]["overall"] == {"n": 0, "value": None, "low": None, "high": None, "why": "too few"}
    table = CliRunner().invoke(people_cli.agreement, ["--store", str(store.path)]).stdout
    assert "too few (n=0)" in table
    assert f"{group['alpha']['value']:.2f} [{group['alpha']['low']:.2f}, {group['alpha']['high']:.2f}]" in table
    assert "민아" in table
