"""Progress of long work: a bar on a terminal, a line a minute in a log, the thing itself untouched."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from npc_align import progress


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that only this moves, and stderr no terminal."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def later(seconds: float) -> None:
        now[0] += seconds

    return later


def test_a_log_gets_a_line_a_minute_with_what_is_left(wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    with progress.watched(list("abcdefgh"), "Sampling") as shown:
        for _ in shown:
            wait(40)
    assert capsys.readouterr().err.splitlines() == [
        "Sampling",
        "Sampling: 2 of 8 in 1 min, about 4 min left",
        "Sampling: 4 of 8 in 3 min, about 3 min left",
        "Sampling: 6 of 8 in 4 min, about 1 min left",
        "Sampling: 8 of 8 in 5 min",
    ]


def test_work_of_seconds_says_only_that_it_began(wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    with progress.counted(100, "Checking") as advance:
        for _ in range(10):
            wait(5)
            advance(10)
    assert capsys.readouterr().err == "Checking\n"


def test_the_end_of_long_work_is_said_once_and_not_if_it_failed(
    wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.counted(10, "Scoring") as advance:
        wait(4000)
        advance(4)
        advance(6)
    assert (
        capsys.readouterr().err
        == "Scoring\nScoring: 4 of 10 in 1 h 7 min, about 1 h 40 min left\nScoring: 10 of 10 in 1 h 7 min\n"
    )

    def fails() -> None:
        with progress.counted(10, "Scoring") as advance:
            wait(70)
            advance(4)
            advance(1)
            raise ValueError("full")

    with pytest.raises(ValueError, match="full"):
        fails()
    assert capsys.readouterr().err == "Scoring\nScoring: 4 of 10 in 1 min, about 2 min left\n"


def test_how_many_there_are_may_be_told_or_unknown(wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    for total, said in ((4, "Importing: 2 of 4 in 1 min, about 1 min left"), (None, "Importing: 2 in 1 min")):
        rows = progress.watching("Importing")(iter("abcd"), total)
        assert [next(rows), next(rows)] == ["a", "b"]
        wait(70)
        assert next(rows) == "c"
        assert capsys.readouterr().err.splitlines() == ["Importing", said]


def test_hidden_work_says_nothing(wait: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    with progress.watched(range(3), "Sampling", hidden=True) as shown:
        for _ in shown:
            wait(100)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("total", [3, None])
def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int | None) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.watched(iter("abc"), "Sampling", total=total) as shown:
        assert list(shown) == ["a", "b", "c"]
    err = capsys.readouterr().err
    assert "Sampling  [" in err
    assert ("100%" in err) == (total is not None)
