"""Parses LaunchDarkly's flags and segments into frozen values, which give words and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from featureflags.core.i18n import gettext
from featureflags.core.json_view import JSONView
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
class RuleView(JSONView):
    """One rule of a flag or of a LaunchDarkly segment."""

    JSON_ALSO = ("words",)
    JSON_WITHOUT = frozenset({"clauses"})

    number: int
    """Counted from 1, as LaunchDarkly's pages do."""
    id: str
    description: str
    clauses: tuple[Clause, ...]
    serving: Serving | None = None
    """What a flag's rule serves; None for the rule of a segment."""
    weight: int = WHOLE
    """The share of matching users in the segment, in thousandths of a percent; WHOLE for a flag."""

    @property
    def words(self) -> str:
        """All conditions as a sentence."""
        conditions = " and ".join(words(clause) for clause in self.clauses) or "everybody"
        if self.weight == WHOLE:
            return conditions
        shown = {"weight": self.weight / 1000, "conditions": conditions}
        return gettext("%(weight)g %% of those: %(conditions)s") % shown

    @property
    def name(self) -> str:
        """``rule 2 (Staff first)``."""
        return (
            gettext("rule %(number)s (%(description)s)")
            % {"number": self.number, "description": self.description}
            if self.description
            else gettext("rule %(number)s") % {"number": self.number}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prerequisite(JSONView):
    """A flag that another flag needs, and the variation that it must serve."""

    JSON_ALSO = ("words",)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagView(JSONView):
    """One flag as LaunchDarkly serves it."""

    JSON_ALSO = ("targeting",)

    key: str
    version: int
    on: bool
    type: str | None
    """The type of all variations: boolean, string, number or json. None: several types, or none."""
    variations: tuple[JSONValue, ...]
    prerequisites: tuple[Prerequisite, ...]
    """If one of them fails, everybody gets what `off` serves."""
    targets: tuple[Target, ...]
    """Contexts by key, evaluated before the rules."""
    rules: tuple[RuleView, ...]
    fallthrough: Serving
    """What everybody else gets (the default rule)."""
    off: Serving
    """What everybody gets while the flag is off."""
    client_side: bool

    @property
    def targeting(self) -> tuple[str, ...]:
        """Who gets what while it is on, one sentence each, in the order of evaluation."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentView(JSONView):
    """One segment of LaunchDarkly's own, not of Django's."""

    key: str
    version: int
    rules: tuple[RuleView, ...]
    included: int
    """How many contexts are included by key; `excluded` likewise."""
    excluded: int
    unbounded: bool
    """A big segment, whose members are in another store."""


def flags(data: RawData) -> list[FlagView]:
    """All flags, by key."""
    return [_flag_view(key, raw, data) for key, raw in sorted(data.get("flags", {}).items())]


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
    """One clause; a missing part is empty."""
    kind = raw.get("contextKind")
    return Clause(
        attribute=text(raw.get("attribute")),
        op=text(raw.get("op")),
        values=tuple(items(raw, "values")),
        negate=raw.get("negate") is True,
        context_kind=kind if isinstance(kind, str) else None,
    )


def prerequisites_of(raw: Raw) -> Iterator[str]:
    """The keys of a flag's prerequisites."""
    for each in objects(raw, "prerequisites"):
        if key := text(each.get("key")):
            yield key


def prerequisites_in(raw: Raw, data: RawData) -> Iterator[Prerequisite]:
    """A flag's prerequisites, looked up in `data`."""
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
    """The type of all these values, or None. LaunchDarkly calls lists, objects and null `json`."""
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
