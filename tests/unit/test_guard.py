"""The spike guard: what counts as a spike, what the median remembers, when the run stops."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from npc_align.errors import UserError
from npc_align.training.config import GuardSection
from npc_align.training.guard import SpikeGuard
from npc_align.training.trainer_mixin import GuardedTrainer


def _warm(norm: float = 1.0, steps: int = 10, **section: float) -> SpikeGuard:
    guard = SpikeGuard(GuardSection(**section))
    for _ in range(steps):
        assert guard.observe(norm) is None
    return guard


@pytest.mark.parametrize(("factor", "norm", "spike"), [(10, 10.0, False), (10, 10.1, True), (3, 3.1, True), (3, 2.9, False)])
def test_a_spike_is_a_norm_above_factor_times_the_median(factor: float, norm: float, spike: bool) -> None:
    assert _warm(spike_factor=factor).observe(norm) == (1.0 if spike else None)


@pytest.mark.parametrize("norm", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("steps", [0, 10])
def test_a_norm_that_is_not_finite_is_always_a_spike(norm: float, steps: int) -> None:
    assert _warm(steps=steps).observe(norm) is not None


def test_no_finite_norm_is_a_spike_before_there_is_a_median() -> None:
    guard = SpikeGuard(GuardSection())
    assert [guard.observe(norm) for norm in (300.0, 1.0, 200.0, 1.0)] == [None] * 4


def test_a_short_window_guards_too() -> None:
    assert _warm(window=2).observe(1000.0) == 1.0


def test_spikes_do_not_enter_the_median() -> None:
    guard = _warm(max_in_a_row=1000, window=20)
    assert [guard.observe(500.0) for _ in range(100)] == [1.0] * 100


def test_the_median_follows_the_window() -> None:
    guard = _warm(window=5)
    for _ in range(5):
        guard.observe(8.0)
    assert guard.observe(50.0) is None
    assert guard.observe(1000.0) == 8.0


def test_stops_after_so_many_in_a_row_naming_step_and_records() -> None:
    guard = _warm(max_in_a_row=3)
    for step in (11, 12):
        guard.observe(500.0)
        guard.check(step, ["a:1"])
    guard.observe(math.nan)
    with pytest.raises(UserError, match=r"step 13: 3 gradient spikes in a row \(last records: a:1, a:2\)"):
        guard.check(13, ["a:1", "a:2"])


def test_a_spike_row_is_plain_json(tmp_path: Path) -> None:
    watched = GuardedTrainer()
    watched.metrics_file = tmp_path / "metrics.jsonl"
    watched._record_spike(1, math.nan, math.inf, ["a:1"])
    watched._record_spike(9, 50.0, 1.0, ["a:2"])
    first, second = (json.loads(row, parse_constant=pytest.fail) for row in watched.metrics_file.read_text().splitlines())
    assert (first["grad_norm"], first["median"], first["records"]) == ("nan", None, ["a:1"])
    assert (second["step"], second["grad_norm"], second["median"]) == (9, 50.0, 1.0)


def test_one_good_step_starts_the_count_anew() -> None:
    guard = _warm(max_in_a_row=2)
    for norm in (500.0, 1.0, 500.0, 1.0, 500.0):
        guard.observe(norm)
        guard.check(1, [])
    guard.observe(500.0)
    with pytest.raises(UserError):
        guard.check(2, [])


def test_a_resumed_guard_has_seen_what_the_checkpoint_had(tmp_path: Path) -> None:
    guard = _warm(max_in_a_row=2)
    guard.observe(500.0)
    guard.save(tmp_path)
    resumed = SpikeGuard(guard.section)
    resumed.restore(tmp_path)
    assert resumed.observe(500.0) == 1.0, "the median is there from the first step"
    with pytest.raises(UserError, match="2 gradient spikes in a row"):
        resumed.check(12, [])


def test_a_checkpoint_without_a_guard_starts_one_anew(tmp_path: Path) -> None:
    resumed = SpikeGuard(GuardSection())
    resumed.restore(tmp_path)
    assert resumed.observe(500.0) is None
