"""A game's world, read from one YAML file: attributes, coherence, items, affinity, tone per personality.

The schema is the game's and it changes, so it is data. Code asks the domain by role ("previous_item"), never by name.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from npc_align.domain_checks import check_domain, check_file
from npc_align.errors import UserError
from npc_align.korean.levels import side_of

Value = str | int
Attributes = dict[str, Value]

_SHIPPED = resources.files("npc_align") / "data"
# libyaml's where PyYAML was built with it: a domain file takes a tenth of the time.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INHERITED = (
    "no_item",
    "items",
    "not_items",
    "affinity",
    "tone",
    "politeness",
    "length",
    "allowed_foreign",
    "banned_words",
    "cues",
    "ignored_kinds",
)


@dataclass(frozen=True)
class Attribute:
    """One key of a record. `labels` maps each allowed value to the words that stand for it in the prompt."""

    key: str
    prompt_key: str
    labels: Mapping[Value, str]


@dataclass(frozen=True)
class Tone:
    """Speech levels (화계) of a personality: its own and the tolerated ones; whether bare noun fragments may stand, and a humble 저."""

    home: tuple[str, ...]
    tolerated: tuple[str, ...] = ()
    fragments: bool = False
    humble: bool = True

    @property
    def allowed(self) -> tuple[str, ...]:
        return self.home + self.tolerated


@dataclass(frozen=True)
class Length:
    """Bounds of a line, in Hangul syllables and in characters."""

    min_syllables: int = 3
    max_syllables: int | None = None
    max_chars: int = 100


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field of a record."""

    field: str
    value: Any
    message: str

    def __str__(self) -> str:
        return f"{self.field}={self.value!r}: {self.message}"


@dataclass(frozen=True, eq=False)  # a key of caches as the object that it is
class Domain:
    """A game's world. Build one with `load_domain`."""

    name: str
    line_key: str
    attributes: tuple[Attribute, ...]
    roles: Mapping[str, str]
    coherence: tuple[Mapping[str, Value], ...]
    content_hash: str
    no_item: str | None = None
    items: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    not_items: tuple[str, ...] = ()
    affinity: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    visits: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    intervals: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    results: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    tone: Mapping[str, Tone] = field(default_factory=dict)
    politeness: Mapping[str, str] = field(default_factory=dict)
    length: Mapping[str, Length] = field(default_factory=dict)
    allowed_foreign: tuple[str, ...] = ()
    banned_words: tuple[str, ...] = ()
    cues: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignored_kinds: tuple[str, ...] = ()
    probes: tuple[Attributes, ...] = ()
    convert_to: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def by_key(self) -> dict[str, Attribute]:
        return {attribute.key: attribute for attribute in self.attributes}

    @cached_property
    def prompt_names(self) -> tuple[str, ...]:
        """Every name that a field has in records and prompts, longest first."""
        names = {self.line_key, *(name for a in self.attributes for name in (a.key, a.prompt_key))}
        return tuple(sorted(names, key=lambda name: (-len(name), name)))

    @cached_property
    def prompt_values(self) -> tuple[str, ...]:
        """Every value of every attribute."""
        return tuple(str(value) for a in self.attributes for value in a.labels)

    @cached_property
    def look_alikes(self) -> re.Pattern[str]:
        """Where a word starts that only looks like an item; the word is group 1."""
        words = sorted(self.not_items, key=len, reverse=True)
        return re.compile(f"(?=({'|'.join(map(re.escape, words))}))" if words else r"(?!)()")

    def role(self, attributes: Mapping[str, Any], role: str) -> Value | None:
        """The record's value for a role, or None where the domain gives nobody that role or the record leaves it unset."""
        key = self.roles.get(role)
        return attributes.get(key) if key is not None else None

    def is_one_of(self, attributes: Mapping[str, Any], role: str, section: str, name: str) -> bool:
        """Whether the record's value for `role` is listed under `name` in a section ("visits", "intervals", "results")."""
        return self.role(attributes, role) in getattr(self, section).get(name, ())

    def side_of(self, level: str) -> str:
        """존댓말 or 반말: the side of a level of speech, as this game counts it."""
        return self.politeness.get(level) or side_of(level)

    def tone_of(self, attributes: Mapping[str, Any]) -> Tone | None:
        personality = self.role(attributes, "personality")
        return self.tone.get(str(personality)) if personality is not None else None

    def length_of(self, attributes: Mapping[str, Any]) -> Length:
        personality = str(self.role(attributes, "personality"))
        return self.length.get(personality) or self.length.get("default") or Length()

    def problems(self, attributes: Mapping[str, Any]) -> list[Problem]:
        """Every unknown key, value outside the domain and contradiction of a flat attribute mapping; [] when it is fine."""
        found = []
        for key, value in attributes.items():
            if key not in self.by_key:
                found.append(Problem(key, value, f"no such attribute; there are: {', '.join(self.by_key)}"))
            elif isinstance(value, bool | list | dict) or value not in self.by_key[key].labels:
                allowed = ", ".join(map(str, self.by_key[key].labels))
                found.append(Problem(key, value, f"not a value of {key}; allowed: {allowed}"))
        return found or self._contradictions(attributes)

    def _contradictions(self, attributes: Mapping[str, Any]) -> list[Problem]:
        found = []
        for group in self.coherence:
            known = {key: attributes[key] == value for key, value in group.items() if key in attributes}
            if len(set(known.values())) > 1:
                odd = next(key for key, holds in known.items() if not holds)
                expected = ", ".join(f"{key}={value}" for key, value in group.items())
                found.append(Problem(odd, attributes[odd], f"contradicts the record: {expected} go together or not at all"))
        return found

    def combination(self, attributes: Mapping[str, Any]) -> str:
        """A record's attribute combination as one string, in domain order: the unit that splits never cut."""
        return json.dumps({a.key: attributes[a.key] for a in self.attributes if a.key in attributes}, ensure_ascii=False)

    def draw(self, count: int, seed: int, exclude: Iterable[str] = ()) -> list[Attributes]:
        """`count` coherent attribute sets that repeat no combination of `exclude`, nor each other.

        Personality and class are drawn in equal shares, first visits come up about once in five, and the previous
        item is mostly one that the class uses.
        """
        rng, taken = random.Random(seed), set(exclude)
        drawn: list[Attributes] = []
        cells = [(p, c) for p in self._values("personality") for c in self._values("class")]
        while cells and len(drawn) < count:
            cell = cells.pop(0)
            found = self._draw_new(rng, cell, taken)
            if found is not None:  # a cell whose combinations are used up leaves the round
                drawn.append(found)
                cells.append(cell)
        if len(drawn) < count:
            raise UserError(f"domain {self.name}: only {len(drawn)} of {count} new combinations could be drawn; ask for fewer")
        return drawn

    def _draw_new(self, rng: random.Random, cell: tuple[Value | None, Value | None], taken: set[str]) -> Attributes | None:
        for _ in range(200):
            candidate = self._draw_one(rng, *cell)
            key = self.combination(candidate)
            if key not in taken and not self.problems(candidate):
                taken.add(key)
                return candidate
        return None

    def _values(self, role: str) -> list[Value | None]:
        key = self.roles.get(role)
        return list(self.by_key[key].labels) if key else [None]

    def _draw_one(self, rng: random.Random, personality: Value | None, adventurer: Value | None) -> Attributes:
        chosen = {a.key: rng.choice(list(a.labels)) for a in self.attributes}
        fixed = {self.roles.get("personality"): personality, self.roles.get("class"): adventurer}
        chosen.update({key: value for key, value in fixed.items() if key is not None and value is not None})
        for group in self.coherence:
            held = rng.random() < 0.2
            for key, value in group.items():
                others = [v for v in self.by_key[key].labels if v != value]
                chosen[key] = value if held else rng.choice(others)
        item_key = self.roles.get("previous_item")
        usual = self.affinity.get(str(adventurer), ())
        if item_key and usual and chosen[item_key] != self.no_item and rng.random() < 0.85:
            chosen[item_key] = rng.choice(usual)
        return {key: value for key, value in chosen.items() if value is not None}

    def convert(self, attributes: Mapping[str, Any], target: str) -> Attributes:
        """These attributes in another domain's keys and values. What this domain doesn't say stays unset.

        Raises:
            UserError: this domain has no conversion to `target`.
        """
        if target not in self.convert_to:
            known = ", ".join(self.convert_to) or "none"
            raise UserError(f"domain {self.name} knows no conversion to {target!r}; it knows: {known}")
        converted: Attributes = {}
        for key, rule in self.convert_to[target].items():
            if key in attributes:
                values = rule.get("values")
                value = attributes[key] if values is None else values.get(attributes[key])
                if value is not None:
                    converted[rule["to"]] = value
        return converted


def nfc(value: Any) -> Any:
    """`value` with every string in it NFC-normalised: what looks the same must compare the same."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, Mapping):
        return {nfc(k): nfc(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [nfc(v) for v in value]
    return value


def shipped_domains() -> list[str]:
    return sorted(p.name for p in _SHIPPED.iterdir() if (p / "domain.yaml").is_file())


def shipped_file(domain: str, name: str) -> Path:
    """A data file that comes with a shipped domain, such as its corpus."""
    return Path(str(_SHIPPED / domain / name))


def default_corpus(name_or_path: str) -> Path:
    """The corpus that comes with a shipped domain.

    Raises:
        UserError: a studio's own domain (given by its path), or a shipped one without a corpus.
    """
    corpus = shipped_file(name_or_path, "corpus.jsonl")
    if name_or_path in shipped_domains() and corpus.is_file():
        return corpus
    raise UserError(f"domain {name_or_path!r} brings no corpus of its own; give --corpus (commands) or data.corpus (configs)")


@lru_cache(maxsize=16)
def load_domain(name_or_path: str) -> Domain:
    """A shipped domain by name, or a studio's own by the path of its YAML file.

    Raises:
        UserError: no such domain, unreadable YAML, or a section that is unknown, of the wrong form, or names what there isn't.
    """
    text = _read_source(name_or_path)
    raw = _parse(text, name_or_path)
    parent = raw.pop("inherit", None)
    digest = hashlib.sha256(text.encode())
    if parent is not None:
        inherited = _read_source(str(parent))
        digest.update(inherited.encode())
        raw = {**{k: v for k, v in _parse(inherited, str(parent)).items() if k in _INHERITED}, **raw}
    return _build(raw, digest.hexdigest()[:16], name_or_path)


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        raw = nfc(yaml.load(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise UserError(f"{source}: not readable as YAML: {error}") from error
    check_file(raw, source)
    return dict(raw)


def _read_source(name_or_path: str) -> str:
    shipped = _SHIPPED / name_or_path / "domain.yaml"
    if "/" not in name_or_path and shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    path = Path(name_or_path)
    if path.is_dir():
        path = path / "domain.yaml"
    if not path.is_file():
        known = ", ".join(shipped_domains())
        raise UserError(f"no domain {name_or_path!r}: neither a shipped one ({known}) nor the path of a domain.yaml")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from error


def _build(raw: dict[str, Any], content_hash: str, source: str) -> Domain:
    check_domain(raw, source)
    domain = Domain(
        name=raw["name"],
        line_key=raw["line_key"],
        attributes=tuple(map(_attribute, raw["attributes"])),
        roles=raw.get("roles", {}),
        coherence=tuple(raw.get("coherence", [])),
        content_hash=content_hash,
        no_item=raw.get("no_item"),
        items=_tuples(raw.get("items", {})),
        not_items=tuple(raw.get("not_items", [])),
        affinity={str(k): tuple(v) for k, v in raw.get("affinity", {}).items()},
        visits=_tuples(raw.get("visits", {})),
        intervals=_tuples(raw.get("intervals", {})),
        results=_tuples(raw.get("results", {})),
        tone={
            str(k): Tone(tuple(v["home"]), tuple(v.get("tolerated", ())), v.get("fragments", False), v.get("humble", True))
            for k, v in raw.get("tone", {}).items()
        },
        politeness=raw.get("politeness", {}),
        length={str(k): Length(**v) for k, v in raw.get("length", {}).items()},
        allowed_foreign=tuple(raw.get("allowed_foreign", [])),
        banned_words=tuple(raw.get("banned_words", [])),
        cues=_tuples(raw.get("cues", {})),
        ignored_kinds=tuple(raw.get("ignored_kinds", [])),
        probes=tuple(raw.get("probes", [])),
        convert_to=raw.get("convert_to", {}),
    )
    for probe in domain.probes:
        wrong = domain.problems(probe)
        if wrong:
            raise UserError(f"{source}: probe {probe}: {wrong[0]}")
    return domain


def _attribute(entry: dict[str, Any]) -> Attribute:
    values = entry["values"]
    labels = dict(values) if isinstance(values, dict) else {value: str(value) for value in values}
    return Attribute(entry["key"], entry.get("prompt_key", entry["key"]), labels)


def _tuples(mapping: Mapping[str, list[Any]]) -> dict[str, tuple[Any, ...]]:
    return {key: tuple(values) for key, values in mapping.items()}
