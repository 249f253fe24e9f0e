"""LaunchDarkly's flags and segments as frozen values, and in JSON types for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from featureflags.segments.definitions import Clause
from featureflags.segments.showing import show, words
from featureflags.types import JSONValue

Raw: TypeAlias = Mapping[str, Any]
"""One flag, segment, rule or clause in LaunchDarkly's JSON."""

RawData: TypeAlias = Mapping[str, Mapping[str, Raw]]
"""All of them by key, under `flags` and `segments`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """One rule of a flag or of a LaunchDarkly segment."""

    number: int
    """Counted from 1, as LaunchDarkly's pages do."""
    id: str
    description: str
    clauses: tuple[Clause, ...]

    @property
    def words(self) -> str:
        """All conditions as a sentence."""
        return " and ".join(words(clause) for clause in self.clauses) or "everybody"

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "id": self.id,
            "description": self.description,
            "words": self.words,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagView:
    """One flag as LaunchDarkly serves it."""

    key: str
    version: int
    on: bool
    type: str | None
    """The type that all variations share: boolean, string, number or json. None: they share none,
    or there are none."""
    variations: tuple[JSONValue, ...]
    rules: tuple[RuleView, ...]
    prerequisites: tuple[str, ...]
    """Keys of the flags that this one needs first."""
    client_side: bool

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "version": self.version,
            "on": self.on,
            "type": self.type,
            "variations": list(self.variations),
            "rules": [rule.to_dict() for rule in self.rules],
            "prerequisites": list(self.prerequisites),
            "client_side": self.client_side,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentView:
    """One segment of LaunchDarkly's own, not of Django's."""

    key: str
    version: int
    rules: tuple[RuleView, ...]
    included: int
    """How many contexts are in it by key; `excluded` likewise."""
    excluded: int
    unbounded: bool
    """A big segment: its members lie in another store."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "version": self.version,
            "rules": [rule.to_dict() for rule in self.rules],
            "included": self.included,
            "excluded": self.excluded,
            "unbounded": self.unbounded,
        }


def flags(data: RawData) -> list[FlagView]:
    """All flags, by key."""
    return [flag_view(key, raw) for key, raw in sorted(data.get("flags", {}).items())]


def segments(data: RawData) -> list[SegmentView]:
    """All of LaunchDarkly's segments, by key."""
    return [_segment_view(key, raw) for key, raw in sorted(data.get("segments", {}).items())]


def flag_view(key: str, raw: Raw) -> FlagView:
    variations = tuple(_list(raw, "variations"))
    return FlagView(
        key=key,
        version=_whole(raw.get("version")),
        on=raw.get("on") is True,
        type=type_of(variations),
        variations=variations,
        rules=tuple(rules_of(raw)),
        prerequisites=tuple(prerequisites_of(raw)),
        client_side=_is_client_side(raw),
    )


def rules_of(raw: Raw) -> Iterator[RuleView]:
    """The rules of a flag or a segment, in their order."""
    for number, rule in enumerate(objects(raw, "rules"), start=1):
        yield RuleView(
            number=number,
            id=_text(rule.get("id")),
            description=_text(rule.get("description")),
            clauses=tuple(clause_of(clause) for clause in objects(rule, "clauses")),
        )


def clause_of(raw: Raw) -> Clause:
    """One condition. What is missing is empty."""
    kind = raw.get("contextKind")
    return Clause(
        attribute=_text(raw.get("attribute")),
        op=_text(raw.get("op")),
        values=tuple(_list(raw, "values")),
        negate=raw.get("negate") is True,
        context_kind=kind if isinstance(kind, str) else None,
    )


def prerequisites_of(raw: Raw) -> Iterator[str]:
    """The keys of the flags that a flag needs first."""
    for each in objects(raw, "prerequisites"):
        if key := _text(each.get("key")):
            yield key


def type_of(variations: tuple[JSONValue, ...]) -> str | None:
    """The type that these values share. LaunchDarkly calls lists, objects and null `json`."""
    found = {_type_of_one(value) for value in variations}
    return found.pop() if len(found) == 1 else None


def flag_in_words(flag: FlagView) -> str:
    """A flag on one line, without its key."""
    state = "on" if flag.on else "off"
    values = " | ".join(show(value) for value in flag.variations)
    return f"{state}, {flag.type or 'of several types'}, {values or 'no variations'}"


def _type_of_one(value: JSONValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) else "json"


def _segment_view(key: str, raw: Raw) -> SegmentView:
    return SegmentView(
        key=key,
        version=_whole(raw.get("version")),
        rules=tuple(rules_of(raw)),
        included=_targets(raw, "included", "includedContexts"),
        excluded=_targets(raw, "excluded", "excludedContexts"),
        unbounded=raw.get("unbounded") is True,
    )


def _targets(raw: Raw, keys: str, contexts: str) -> int:
    others = sum(len(_list(target, "values")) for target in objects(raw, contexts))
    return len(_list(raw, keys)) + others


def _is_client_side(raw: Raw) -> bool:
    shown = raw.get("clientSideAvailability")
    if isinstance(shown, Mapping):
        return shown.get("usingEnvironmentId") is True
    return raw.get("clientSide") is True


def _list(raw: Raw, name: str) -> list[Any]:
    found = raw.get(name)
    return found if isinstance(found, list) else []


def objects(raw: Raw, name: str) -> list[Raw]:
    """The objects of a list; none where it holds others, or is no list."""
    return [item for item in _list(raw, name) if isinstance(item, Mapping)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
