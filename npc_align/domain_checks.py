"""Mistakes in a domain file, each told as one UserError: file, section, what stands there, what is allowed.

Works on the raw YAML. Values are compared with the values of the attribute that plays the role; where nobody plays it,
there is nothing to compare with (a domain that inherits may leave whole sections unused).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NoReturn

from npc_align.errors import UserError
from npc_align.korean.levels import PLAIN, POLITE, SIDES
from npc_align.violation import KINDS

LEVELS = POLITE + PLAIN
ROLES = ("personality", "class", "previous_item", "visit", "interval", "result")
SECTIONS = {
    "name", "line_key", "attributes", "roles", "coherence", "no_item", "items", "not_items", "affinity", "visits", "intervals",
    "results", "tone", "politeness", "length", "allowed_foreign", "banned_words", "cues", "ignored_kinds", "probes", "convert_to", "inherit",
}  # fmt: skip
_MAPPINGS = (
    "roles", "items", "affinity", "visits", "intervals", "results", "tone", "politeness", "length", "cues", "convert_to",
)  # fmt: skip
_LISTS = ("coherence", "not_items", "allowed_foreign", "banned_words", "ignored_kinds", "probes")
_TONE_KEYS = ("home", "tolerated", "fragments", "humble")
_LENGTH_KEYS = ("min_syllables", "max_syllables", "max_chars")
_VISITS = ("first",)
_INTERVALS = ("recent", "long")
_RESULTS = ("none", "failure", "success")
_CUES = (
    "past", "victory", "overcome", "feats", "finished", "rewards", "quests", "foes", "defeat", "lost",
    "spoilt", "bad_signs", "good_signs", "first_visit", "regular", "earlier_visit", "habits", "recent", "long_ago", "shop",
)  # fmt: skip

Raw = Mapping[str, Any]
Values = Mapping[str, Collection[Any]]  # attribute key -> its values


def check_file(raw: Any, source: str) -> None:
    """The file as such: a mapping of known sections, none of them empty.

    Raises:
        UserError: it isn't.
    """
    if not isinstance(raw, Mapping):
        raise UserError(f"{source}: a domain file is a mapping with name, line_key, attributes, …")
    unknown = [str(section) for section in raw if section not in SECTIONS]
    if unknown:
        raise UserError(f"{source}: unknown section {', '.join(sorted(unknown))}; there are: {_listed(sorted(SECTIONS))}")
    for section, content in raw.items():
        if content is None:
            _refuse(source, section, "is empty; give it a value or leave the section out")


def check_domain(raw: Raw, source: str) -> None:
    """Every section of a domain, inherited ones among them: its type, and that it names only what there is.

    Raises:
        UserError: the first mistake.
    """
    for section in ("name", "line_key", "attributes"):
        if section not in raw:
            raise UserError(f"{source}: section {section!r} is missing")
    for section in ("name", "line_key"):
        _text(raw[section], source, section)
    for section in _MAPPINGS:
        _mapping(raw.get(section, {}), source, section)
    for section in _LISTS:
        _list(raw.get(section, []), source, section)
    for section in ("not_items", "allowed_foreign", "banned_words"):
        _texts(raw.get(section, []), source, section)
    for kind in raw.get("ignored_kinds", []):
        _one_of(kind, KINDS, source, "ignored_kinds", "a kind of violation")
    values = _check_attributes(raw["attributes"], source)
    _check_roles(raw, values, source)
    _check_coherence(raw, values, source)
    _check_items(raw, values, source)
    _check_tone(raw, values, source)
    for level, side in raw.get("politeness", {}).items():
        _one_of(level, LEVELS, source, "politeness", "a level of speech")
        _one_of(side, SIDES, source, f"politeness: {level}", "a side")
    _check_length(raw, values, source)
    _check_named(raw, values, source)
    _check_conversions(raw, values, source)


def _check_attributes(attributes: Any, source: str) -> Values:
    values: dict[str, Collection[Any]] = {}
    for entry in _list(attributes, source, "attributes"):
        if not isinstance(entry, Mapping) or "key" not in entry or not entry.get("values"):
            raise UserError(f"{source}: an attribute needs a key and values, not {entry!r}")
        key = _text(entry["key"], source, "attributes: key")
        where = f"attributes: {key}"
        _known_keys(entry, ("key", "prompt_key", "values"), source, where)
        if key in values:
            _refuse(source, where, "stands there twice; an attribute has one entry")
        _text(entry.get("prompt_key", key), source, f"{where}: prompt_key")
        values[key] = _check_values(entry["values"], source, f"{where}: values")
    if not values:
        _refuse(source, "attributes", "is empty; a domain has at least one attribute")
    return values


def _check_values(given: Any, source: str, where: str) -> Collection[Any]:
    if not isinstance(given, Mapping | list):
        _refuse(source, where, f"must be a list, or a mapping of values to words, not {given!r}")
    for value in given:
        if not isinstance(value, str | int) or isinstance(value, bool):
            _refuse(source, where, f"{value!r} is neither text nor a whole number; put it in quotes")
    if isinstance(given, Mapping):
        _texts(list(given.values()), source, where)
    return list(given)


def _check_roles(raw: Raw, values: Values, source: str) -> None:
    for role, key in raw.get("roles", {}).items():
        if role not in ROLES:
            raise UserError(f"{source}: unknown role {role!r}; there are: {_listed(ROLES)}")
        if not _among(key, values):
            raise UserError(f"{source}: role {role} names {key!r}, which is no attribute; there are: {_listed(values)}")


def _check_coherence(raw: Raw, values: Values, source: str) -> None:
    for group in raw.get("coherence", []):
        for key, value in _mapping(group, source, "coherence: a group").items():
            if key not in values:
                raise UserError(f"{source}: coherence names {key!r}, which is no attribute; there are: {_listed(values)}")
            _one_of(value, values[key], source, f"coherence: {key}", "a value of it")


def _check_items(raw: Raw, values: Values, source: str) -> None:
    items = raw.get("items", {})
    for item, aliases in items.items():
        _texts(aliases, source, f"items: {item}")
    previous = _of_role("previous_item", raw, values)
    if previous is not None:
        if "no_item" in raw:
            _one_of(raw["no_item"], previous, source, "no_item", "a value of the previous_item role")
        for value in previous:
            if value != raw.get("no_item"):
                _one_of(value, items, source, "items", "among the items, though a value of the previous_item role")
    classes = _of_role("class", raw, values)
    for name, own in raw.get("affinity", {}).items():
        if classes is not None:
            _one_of(name, classes, source, "affinity", "a value of the class role")
        for item in _list(own, source, f"affinity: {name}"):
            _one_of(item, items, source, f"affinity: {name}", "among the items")


def _check_tone(raw: Raw, values: Values, source: str) -> None:
    tones = raw.get("tone", {})
    people = _of_role("personality", raw, values)
    for name, tone in tones.items():
        where = f"tone: {name}"
        if people is not None:
            _one_of(name, people, source, "tone", "a value of the personality role")
        _known_keys(_mapping(tone, source, where), _TONE_KEYS, source, where)
        if not tone.get("home"):
            _refuse(source, where, f"has no home, its own levels of speech; allowed: {_listed(LEVELS)}")
        for key in ("home", "tolerated"):
            for level in _list(tone.get(key, []), source, f"{where}: {key}"):
                _one_of(level, LEVELS, source, f"{where}: {key}", "a level of speech")
        for key in ("fragments", "humble"):
            if not isinstance(tone.get(key, False), bool):
                _refuse(source, f"{where}: {key}", f"must be true or false, not {tone[key]!r}")
    for person in people or ():
        if tones and not _among(person, tones):
            _refuse(source, "tone", f"has no entry for {person!r}, a value of the personality role; give it one")


def _check_length(raw: Raw, values: Values, source: str) -> None:
    people = _of_role("personality", raw, values)
    for name, length in raw.get("length", {}).items():
        where = f"length: {name}"
        if people is not None:
            _one_of(name, ["default", *people], source, "length", "'default' or a value of the personality role")
        for key, number in _known_keys(_mapping(length, source, where), _LENGTH_KEYS, source, where).items():
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                _refuse(source, f"{where}: {key}", f"must be a whole number, 0 or more, not {number!r}")


def _check_named(raw: Raw, values: Values, source: str) -> None:
    """visits, intervals, results, cues and probes."""
    for section, role, known in (
        ("visits", "visit", _VISITS), ("intervals", "interval", _INTERVALS), ("results", "result", _RESULTS),
    ):  # fmt: skip
        allowed = _of_role(role, raw, values)
        for name, listed in _known_keys(raw.get(section, {}), known, source, section).items():
            for value in _list(listed, source, f"{section}: {name}"):
                if allowed is not None:
                    _one_of(value, allowed, source, f"{section}: {name}", f"a value of the {role} role")
    for name, words in _known_keys(raw.get("cues", {}), _CUES, source, "cues").items():
        _texts(words, source, f"cues: {name}")
    for probe in raw.get("probes", []):
        _mapping(probe, source, "probes: a probe")


def _check_conversions(raw: Raw, values: Values, source: str) -> None:
    for target, rules in raw.get("convert_to", {}).items():
        for key, rule in _mapping(rules, source, f"convert_to: {target}").items():
            where = f"convert_to: {target}: {key}"
            _one_of(key, values, source, f"convert_to: {target}", "an attribute")
            _known_keys(_mapping(rule, source, where), ("to", "values"), source, where)
            _text(rule.get("to"), source, f"{where}: to")
            for value in _mapping(rule.get("values", {}), source, f"{where}: values"):
                _one_of(value, values[key], source, f"{where}: values", f"a value of {key}")


# --- One thing at a time


def _refuse(source: str, where: str, why: str) -> NoReturn:
    raise UserError(f"{source}: {where}: {why}")


def _listed(allowed: Iterable[Any]) -> str:
    return ", ".join(map(str, allowed)) or "none"


def _among(value: Any, allowed: Collection[Any]) -> bool:
    # True equals 1, and a list can't be looked up in a mapping.
    return isinstance(value, str | int) and not isinstance(value, bool) and value in allowed


def _of_role(role: str, raw: Raw, values: Values) -> Collection[Any] | None:
    """The values of the attribute that plays a role; None where none does."""
    key = raw.get("roles", {}).get(role)
    return None if key is None else values[key]


def _one_of(value: Any, allowed: Collection[Any], source: str, where: str, what: str) -> None:
    if not _among(value, allowed):
        _refuse(source, where, f"{value!r} is not {what}; allowed: {_listed(allowed)}")


def _known_keys(mapping: Mapping[Any, Any], known: Collection[str], source: str, where: str) -> Mapping[Any, Any]:
    for key in mapping:
        if key not in known:
            _refuse(source, where, f"unknown key {key!r}; allowed: {_listed(known)}")
    return mapping


def _mapping(content: Any, source: str, where: str) -> Mapping[Any, Any]:
    if not isinstance(content, Mapping):
        _refuse(source, where, f"must be a mapping (name: value), not {content!r}")
    return content


def _list(content: Any, source: str, where: str) -> list[Any]:
    if not isinstance(content, list):
        _refuse(source, where, f"must be a list ([a, b]), not {content!r}")
    return content


def _text(content: Any, source: str, where: str) -> str:
    if not isinstance(content, str) or not content:
        _refuse(source, where, f"must be text, not {content!r}")
    return content


def _texts(content: Any, source: str, where: str) -> None:
    for word in _list(content, source, where):
        _text(word, source, where)
