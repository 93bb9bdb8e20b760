"""Lines as Kiwi reads them, for judges: with what its dictionary doesn't have marked as unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from npc_align.progress import watched

CONTENT = ("NNG", "NNP", "XR", "VV", "VA", "MAG")  # Kiwi's tags of words that carry meaning
PREDICATES = ("VV", "VA", "VX", "VCP", "VCN", "XSV", "XSA")


class Morpheme(NamedTuple):
    """One morpheme: its form, its Sejong tag without Kiwi's additions, its span, and whether Kiwi's dictionary lacks it."""

    form: str
    tag: str
    start: int
    end: int
    unknown: bool

    @property
    def is_word(self) -> bool:
        """No sign, number, foreign letter, emoji or stray final consonant."""
        return self.tag[0] not in "SWZU"


@lru_cache(maxsize=1)
def _kiwi() -> Any:
    # One of its own: the rules' analyser reads decorated endings as plain ones, and here they are what is looked for.
    from kiwipiepy import Kiwi

    return Kiwi(num_workers=1, load_multi_dict=False, load_typo_dict=False)


@lru_cache(maxsize=1 << 16)
def morphemes(line: str) -> tuple[Morpheme, ...]:
    """The morphemes of a line."""
    read = _kiwi().tokenize(line.encode("utf-8", "replace").decode("utf-8").replace("\0", " "))
    return tuple(Morpheme(t.form, t.tag.split("-")[0], t.start, t.start + t.len, bool(t.oov)) for t in read)


def endings(line: str) -> Iterator[tuple[Morpheme, ...]]:
    """What is glued to the last predicate of each sentence: its endings, and what follows them without a space."""
    sentence: list[Morpheme] = []
    for morpheme in morphemes(line):
        if morpheme.tag not in ("SF", "SE"):
            sentence.append(morpheme)
            continue
        yield from _tail(sentence)
        sentence = []
    yield from _tail(sentence)


def _tail(sentence: list[Morpheme]) -> Iterator[tuple[Morpheme, ...]]:
    stems = [i for i, m in enumerate(sentence) if m.tag in PREDICATES]
    if not stems:
        return
    tail: list[Morpheme] = []
    end = sentence[stems[-1]].end
    for morpheme in sentence[stems[-1] + 1 :]:
        if morpheme.start > end or morpheme.tag[0] == "S":
            break
        tail.append(morpheme)
        end = morpheme.end
    if tail:
        yield tuple(tail)


def with_bigrams(line: str) -> list[str]:
    """Features of a line: its morphemes with their tags, and each two that follow each other, the line's ends included."""
    single = [f"{m.form}/{m.tag}" for m in morphemes(line)]
    return single + [f"{a} {b}" for a, b in zip(["<", *single], [*single, ">"], strict=True)]


def read_all(lines: Iterable[str]) -> None:
    """Read the lines with a progress bar; whoever asks for their morphemes then gets them at once."""
    with watched(list(lines), "Reading the corpus") as shown:
        for line in shown:
            morphemes(line)
