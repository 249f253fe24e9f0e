"""LaunchDarkly's flags and segments as frozen values, and in JSON types for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from featureflags.core.i18n import gettext
from featureflags.core.types import JSONValue
from featureflags.inspection.raw_json import Raw as Raw
from featureflags.inspection.raw_json import RawData as RawData
from featureflags.inspection.raw_json import items, objects, text, whole
from featureflags.inspection.rollouts import (
    WHOLE,
    Serving,
    Target,
    serving_of,
    targets_of,
    variation_of,
)
from featureflags.segments.definitions import Clause
from featureflags.segments.formatting import show, words


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """One rule of a flag or of a LaunchDarkly segment."""

    number: int
    """Counted from 1, as LaunchDarkly's pages do."""
    id: str
    description: str
    clauses: tuple[Clause, ...]
    serving: Serving | None = None
    """What those whom it matches are given; None for the rule of a segment."""
    weight: int = WHOLE
    """How many of them are in the segment, in thousandths of a percent; all for a flag's rule."""

    @property
    def words(self) -> str:
        """All conditions as a sentence."""
        told = " and ".join(words(clause) for clause in self.clauses) or "everybody"
        return (
            told
            if self.weight == WHOLE
            else gettext("%(weight)g %% of those: %(told)s")
            % {"weight": self.weight / 1000, "told": told}
        )

    @property
    def name(self) -> str:
        """``rule 2 (Staff first)``."""
        return (
            gettext("rule %(number)s (%(description)s)")
            % {"number": self.number, "description": self.description}
            if self.description
            else gettext("rule %(number)s") % {"number": self.number}
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "id": self.id,
            "description": self.description,
            "words": self.words,
            "serving": None if self.serving is None else self.serving.to_dict(),
            "weight": self.weight,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Prerequisite:
    """A flag that another one needs first, and what that must serve."""

    flag: str
    wanted: Serving
    exists: bool
    on: bool

    @property
    def words(self) -> str:
        if not self.exists:
            return gettext("the flag “%(flag)s”, which there is not") % {"flag": self.flag}
        state = "" if self.on else gettext(", which is off,")
        return gettext("the flag “%(flag)s”%(state)s to serve %(words)s") % {
            "flag": self.flag,
            "state": state,
            "words": self.wanted.words,
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "flag": self.flag,
            "wanted": self.wanted.to_dict(),
            "exists": self.exists,
            "on": self.on,
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
    prerequisites: tuple[Prerequisite, ...]
    """Those it needs first. If one fails, everybody gets what `off` says."""
    targets: tuple[Target, ...]
    """Single keys. They come before the rules."""
    rules: tuple[RuleView, ...]
    fallthrough: Serving
    """What everybody else gets."""
    off: Serving
    """What everybody gets while the flag is off."""
    client_side: bool

    @property
    def targeting(self) -> tuple[str, ...]:
        """Whom it serves what while it is on, in LaunchDarkly's order, a sentence each."""
        return (
            *(
                gettext("needs %(words)s, else %(off)s")
                % {"words": each.words, "off": self.off.words}
                for each in self.prerequisites
            ),
            *(f"{each.words} → {each.serving.words}" for each in self.targets),
            *(
                f"{rule.name}: {rule.words} → {rule.serving.words}"
                for rule in self.rules
                if rule.serving is not None
            ),
            gettext("everybody else → %(words)s") % {"words": self.fallthrough.words},
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "version": self.version,
            "on": self.on,
            "type": self.type,
            "variations": list(self.variations),
            "prerequisites": [each.to_dict() for each in self.prerequisites],
            "targets": [target.to_dict() for target in self.targets],
            "rules": [rule.to_dict() for rule in self.rules],
            "fallthrough": self.fallthrough.to_dict(),
            "off": self.off.to_dict(),
            "targeting": list(self.targeting),
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
    return [_flag_view(key, raw, data) for key, raw in sorted(data.get("flags", {}).items())]


def flag_view(key: str, data: RawData) -> FlagView | None:
    """One flag; None if LaunchDarkly serves none of this key."""
    raw = data.get("flags", {}).get(key)
    return None if raw is None else _flag_view(key, raw, data)


def segments(data: RawData) -> list[SegmentView]:
    """All of LaunchDarkly's segments, by key."""
    return [_segment_view(key, raw) for key, raw in sorted(data.get("segments", {}).items())]


def rules_of(raw: Raw) -> Iterator[RuleView]:
    """The rules of a flag or a segment, in their order."""
    for number, rule in enumerate(objects(raw, "rules"), start=1):
        yield rule_of(number, rule)


def rule_of(number: int, raw: Raw, serving: Serving | None = None) -> RuleView:
    """One rule, counted from 1."""
    weight = raw.get("weight")
    return RuleView(
        number=number,
        id=text(raw.get("id")),
        description=text(raw.get("description")),
        clauses=tuple(clause_of(clause) for clause in objects(raw, "clauses")),
        serving=serving,
        weight=WHOLE if weight is None else whole(weight),
    )


def clause_of(raw: Raw) -> Clause:
    """One condition. What is missing is empty."""
    kind = raw.get("contextKind")
    return Clause(
        attribute=text(raw.get("attribute")),
        op=text(raw.get("op")),
        values=tuple(items(raw, "values")),
        negate=raw.get("negate") is True,
        context_kind=kind if isinstance(kind, str) else None,
    )


def prerequisites_of(raw: Raw) -> Iterator[str]:
    """The keys of the flags that a flag needs first."""
    for each in objects(raw, "prerequisites"):
        if key := text(each.get("key")):
            yield key


def prerequisites_in(raw: Raw, data: RawData) -> Iterator[Prerequisite]:
    """The flags that a flag needs first, as they are in `data`."""
    for each in objects(raw, "prerequisites"):
        if key := text(each.get("key")):
            needed = data.get("flags", {}).get(key)
            flag = needed if isinstance(needed, Mapping) else {}
            yield Prerequisite(
                flag=key,
                wanted=variation_of(flag, each.get("variation")),
                exists=isinstance(needed, Mapping),
                on=flag.get("on") is True,
            )


def type_of(variations: tuple[JSONValue, ...]) -> str | None:
    """The type that these values share. LaunchDarkly calls lists, objects and null `json`."""
    found = {_type_of_one(value) for value in variations}
    return found.pop() if len(found) == 1 else None


def flag_in_words(flag: FlagView) -> str:
    """A flag on one line, without its key."""
    state = gettext("on") if flag.on else gettext("off")
    values = " | ".join(show(value) for value in flag.variations) or gettext("no variations")
    return f"{state}, {flag.type or gettext('of several types')}, {values}"


def _type_of_one(value: JSONValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) else "json"


def _flag_view(key: str, raw: Raw, data: RawData) -> FlagView:
    variations = tuple(items(raw, "variations"))
    return FlagView(
        key=key,
        version=whole(raw.get("version")),
        on=raw.get("on") is True,
        type=type_of(variations),
        variations=variations,
        prerequisites=tuple(prerequisites_in(raw, data)),
        targets=tuple(targets_of(raw)),
        rules=tuple(
            rule_of(number, rule, serving_of(rule, raw))
            for number, rule in enumerate(objects(raw, "rules"), start=1)
        ),
        fallthrough=serving_of(raw.get("fallthrough"), raw),
        off=variation_of(raw, raw.get("offVariation")),
        client_side=_is_client_side(raw),
    )


def _segment_view(key: str, raw: Raw) -> SegmentView:
    return SegmentView(
        key=key,
        version=whole(raw.get("version")),
        rules=tuple(rules_of(raw)),
        included=_targets(raw, "included", "includedContexts"),
        excluded=_targets(raw, "excluded", "excludedContexts"),
        unbounded=raw.get("unbounded") is True,
    )


def _targets(raw: Raw, keys: str, contexts: str) -> int:
    others = sum(len(items(target, "values")) for target in objects(raw, contexts))
    return len(items(raw, keys)) + others


def _is_client_side(raw: Raw) -> bool:
    shown = raw.get("clientSideAvailability")
    if isinstance(shown, Mapping):
        return shown.get("usingEnvironmentId") is True
    return raw.get("clientSide") is True
