"""Where long work stands, on stderr: a bar on a terminal; in a log or a pipe, where a bar can't move, a line a minute."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

import click

T = TypeVar("T")
_SECONDS = 60.0  # between two lines of a log


@contextmanager
def counted(total: int | None, label: str, *, hidden: bool = False) -> Iterator[Callable[[int], None]]:
    """Around work on `total` things (None: nobody knows how many); gives what to call with the number of things just done.

    Args:
        hidden: show nothing, as in every process but the first.
    """
    if hidden:
        yield lambda _: None
    elif sys.stderr.isatty():
        # Of unknown length click shows a bar only around an iterable of that kind.
        with click.progressbar(itertools.count() if total is None else None, length=total, label=label, file=sys.stderr) as bar:
            yield bar.update
    else:
        lines = _Lines(total, label)
        yield lines.advance
        lines.end()


@contextmanager
def watched(things: Iterable[T], label: str, *, total: int | None = None, hidden: bool = False) -> Iterator[Iterator[T]]:
    """Around a loop over `things`, of which there are `total` if they don't know it themselves; gives the things."""
    if total is None and isinstance(things, Sized):
        total = len(things)
    with counted(total, label, hidden=hidden) as advance:

        def handed_on() -> Iterator[T]:
            for thing in things:
                yield thing
                advance(1)

        yield handed_on()


def watching(label: str) -> Callable[..., Iterator[Any]]:
    """`watched` as one function of the things and, where they don't know it, their number, for code that shows nothing itself."""

    def hand_on(things: Iterable[T], total: int | None = None) -> Iterator[T]:
        with watched(things, label, total=total) as shown:
            yield from shown

    return hand_on


class _Lines:
    """Says what is begun, then at most once a minute how far it is; of what took that long the end, too."""

    def __init__(self, total: int | None, label: str) -> None:
        self._total, self._label = total, label
        self._done = self._told = 0
        self._began = self._said = time.monotonic()
        click.echo(label, err=True)

    def advance(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._said >= _SECONDS:
            self._say()

    def end(self) -> None:
        if 0 < self._told < self._done:
            self._say()

    def _say(self) -> None:
        self._said, self._told = time.monotonic(), self._done
        took = self._said - self._began
        of, left = "", ""
        if self._total is not None:
            of = f" of {self._total}"
            if 0 < self._done < self._total:
                left = f", about {_minutes(took / self._done * (self._total - self._done))} left"
        click.echo(f"{self._label}: {self._done}{of} in {_minutes(took)}{left}", err=True)


def _minutes(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
