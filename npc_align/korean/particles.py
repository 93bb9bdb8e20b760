"""Particles and copula forms that change with the sound before them."""

from __future__ import annotations

# After a consonant, after a vowel; longer forms first.
_PARTICLES = [
    ("이었", "였"), ("이에요", "예요"), ("이랑", "랑"), ("이나", "나"), ("이라", "라"), ("이란", "란"), ("이야", "야"),
    ("이여", "여"), ("이든", "든"), ("이면", "면"), ("이고", "고"), ("이지", "지"), ("이죠", "죠"), ("이네", "네"),
    ("이군", "군"), ("이요", "요"), ("이다", "다"), ("이며", "며"), ("으로", "로"), ("은", "는"), ("이", "가"), ("을", "를"),
    ("과", "와"), ("아", "야"),
]  # fmt: skip


def refit(rest: str, old: str, new: str) -> str:
    """`rest`, which followed the noun `old`, with its particle made to fit the noun `new`."""
    for after_consonant, after_vowel in _PARTICLES:
        before, after = (_form(noun, after_consonant, after_vowel) for noun in (old, new))
        if rest.startswith(before):
            return after + rest[len(before) :]
    return rest


def _form(noun: str, after_consonant: str, after_vowel: str) -> str:
    final = (ord(noun[-1]) - 0xAC00) % 28
    is_rieul_before_ro = final == 8 and after_vowel == "로"
    return after_vowel if final == 0 or is_rieul_before_ro else after_consonant
