"""Which key means what, whatever keyboard layout is on: Latin letters, digits, and the 두벌식 jamo of the same physical key."""

from __future__ import annotations

import unicodedata

_JAMO = dict(zip("qwertyuiopasdfghjklzxcvbnm", "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔㅁㄴㅇㄹㅎㅗㅓㅏㅣㅋㅌㅊㅍㅠㅜㅡ", strict=True))
# NFKC brings a keyboard's compatibility jamo, conjoining jamo and full-width digits to one form each.
_LATIN = {unicodedata.normalize("NFKC", jamo): letter for letter, jamo in _JAMO.items()}

_CHOICES = {
    "pair": {
        "1": "left",
        "left": "left",
        "2": "right",
        "right": "right",
        "0": "tie",
        "t": "tie",
        "9": "both_bad",
        "b": "both_bad",
    },
    "line": {"1": "good", "left": "good", "2": "bad", "right": "bad"},
}
_COMMANDS = {
    " ": "skip",
    "space": "skip",
    "backspace": "undo",
    "ctrl+h": "undo",
    "e": "edit",
    "r": "reason",
    "f": "flag",
    "h": "hints",
    "g": "guideline",
    "?": "help",
    "q": "leave",
}


def latin(key: str) -> str:
    """The key's own name in small Latin letters: "ㅅ", "T" and "ｔ" are all "t"; what is no single character stays as it is."""
    if len(key) != 1:
        return key
    plain = unicodedata.normalize("NFKC", key)
    return _LATIN.get(plain, plain).lower()


def command(key: str, mode: str) -> str | None:
    """What a key asks for in this mode, None for a key without a meaning."""
    name = latin(key)
    return _CHOICES[mode].get(name) or _COMMANDS.get(name)


def composed_hangul(key: str) -> bool:
    """A syllable that an input method made of several keys: nobody can say which command was meant."""
    return len(key) == 1 and "가" <= unicodedata.normalize("NFC", key) <= "힣"
