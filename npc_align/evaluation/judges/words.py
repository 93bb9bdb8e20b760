"""Words and sentence endings that neither the corpus nor Kiwi's dictionary knows, and words that the corpus doesn't have."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import cached_property

from npc_align.evaluation.folder import JudgedLine
from npc_align.evaluation.judges.base import About, Judge, Progress, Scores, spoiled
from npc_align.evaluation.judges.morphology import CONTENT, Morpheme, endings, morphemes
from npc_align.evaluation.statistics import wilson

# What grammar allows after a stem, whatever the corpus has: tense and honour, one ending, particles (-는데도, -거든요).
_GRAMMATICAL = re.compile(r"(?:EP )*(?:EF|EC|ETN|ETM)(?: J[A-Z]+)*")
Tail = tuple[tuple[str, str], ...]


class _Vocabulary(Judge):
    """A judge that knows the corpus' train split word by word."""

    better = "lower"

    def odd(self, line: str) -> bool:
        """Whether the line has what this judge looks for."""
        raise NotImplementedError

    def scores(self, lines: Sequence[JudgedLine], progress: Progress) -> Scores:
        _ = self.setting.train_lines  # read before the lines are, with a bar of its own
        found: Scores = []
        for line in lines:
            found.append(float(self.odd(line.line)))
            progress(1)
        return found

    def _known_good(self, progress: Progress) -> dict[str, object]:
        lines = self.setting.references
        rate = wilson(int(sum(filter(None, self.scores(lines, progress)))), len(lines))
        return {**vars(rate), "on": f"{len(lines)} test lines of the corpus"}

    def _accuracy(self, bad: Sequence[JudgedLine], how: str) -> dict[str, object]:
        good = self.setting.references
        right = sum(not self.odd(line.line) for line in good) + sum(self.odd(line.line) for line in bad)
        rate = wilson(right, len(good) + len(bad))
        return {**vars(rate), "on": f"{len(good)} test lines and {len(bad)} of them {how}"}

    def _recall(self, bad: Sequence[JudgedLine]) -> str:
        return f"{sum(self.odd(line.line) for line in bad) / max(1, len(bad)):.0%}"


class UnknownWords(_Vocabulary):
    name = "unknown_words"
    title = "Words unknown to the corpus and to Kiwi"

    def odd(self, line: str) -> bool:
        return any(m.unknown and m.is_word and m.form not in self._text for m in morphemes(line))

    @cached_property
    def _text(self) -> str:
        return "\n".join(self.setting.train_lines)

    def about(self, progress: Progress) -> About:
        bad = spoiled(self.setting.references, invented_noun)
        what = (
            "Share of lines with a word that stands neither in the corpus' train split nor in Kiwi's dictionary. It finds "
            f"{self._recall(bad)} of nouns invented by putting another syllable last; a word invented out of two known ones, and known "
            "words that make no sense together, it doesn't see."
        )
        return About(what, self._accuracy(bad, "with an invented noun"), self._known_good(progress))


class UnknownEndings(_Vocabulary):
    name = "unknown_endings"
    title = "Sentence endings unknown to the corpus and to grammar"

    def odd(self, line: str) -> bool:
        return any(self._unknown(tail) for tail in endings(line))

    def _unknown(self, tail: Sequence[Morpheme]) -> bool:
        return not _GRAMMATICAL.fullmatch(" ".join(m.tag for m in tail)) and _spelt(tail) not in self._tails

    @cached_property
    def _tails(self) -> frozenset[Tail]:
        return frozenset(_spelt(tail) for line in self.setting.train_lines for tail in endings(line))

    def about(self, progress: Progress) -> About:
        bad = spoiled(self.setting.references, stray_syllable)
        what = (
            "Share of lines where what is glued to a sentence's last predicate is neither in the corpus' train split nor tense, one "
            f"ending of Kiwi's dictionary and particles. It finds {self._recall(bad)} of stray syllables put behind the last ending (승리했습니다만용)."
        )
        return About(what, self._accuracy(bad, "with a stray syllable behind the ending"), self._known_good(progress))


class NewWords(_Vocabulary):
    name = "new_words"
    title = "Words that the corpus doesn't have"

    def odd(self, line: str) -> bool:
        return any(m.tag in CONTENT and m.form not in self._forms for m in morphemes(line))

    @cached_property
    def _forms(self) -> frozenset[str]:
        return frozenset(m.form for line in self.setting.train_lines for m in morphemes(line))

    def about(self, progress: Progress) -> About:
        what = (
            "Share of lines with a noun, root, verb, adjective or adverb that the corpus' train split doesn't have. Good lines have them, too "
            "(see the reference); what warns is a rise from one model to the next."
        )
        return About(what, None, self._known_good(progress))


def _spelt(tail: Sequence[Morpheme]) -> Tail:
    return tuple((m.form, m.tag) for m in tail)


def invented_noun(line: str, rng: random.Random) -> str | None:
    """The line with another last syllable on one of its longer nouns."""
    nouns = [m for m in morphemes(line) if m.tag in ("NNG", "NNP") and m.end - m.start >= 2]
    if not nouns:
        return None
    noun = rng.choice(nouns)
    return line[: noun.end - 1] + chr(rng.randint(ord("가"), ord("힣"))) + line[noun.end :]


def stray_syllable(line: str, rng: random.Random) -> str | None:
    """The line with a syllable of another of its words glued to its last word."""
    body = line.rstrip(" .!?…~")
    syllables = [c for c in body if "가" <= c <= "힣"]
    return body + rng.choice(syllables) + line[len(body) :] if syllables else None
