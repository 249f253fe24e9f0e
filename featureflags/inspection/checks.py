"""Compares the flags in the code with those in LaunchDarkly and the segments in Django.

Used by `check_flags`. `find_problems` is a pure function of its arguments and the catalogue of
attributes. `archived` asks LaunchDarkly's REST API: the SDK does not get archived or deleted flags.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from featureflags.cache.counters import Usage
from featureflags.contexts.attributes import catalogue
from featureflags.contexts.privacy import is_withheld
from featureflags.core.conf import app_settings
from featureflags.core.json_view import JSONView
from featureflags.flags.declared import Flag
from featureflags.inspection.clauses import ATTRIBUTE, PATH
from featureflags.inspection.flag_parsing import FlagView, RawData, flags
from featureflags.inspection.flags_using_segment import named_segments
from featureflags.inspection.misleading_rules import find_traps
from featureflags.launchdarkly.rest.client import management_client
from featureflags.launchdarkly.rest.errors import ManagementError, NotFoundError
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.formatting import show

INDIVISIBLE = frozenset({AttributeType.LIST, AttributeType.OBJECT, AttributeType.BOOLEAN})
SEGMENT_ATTRIBUTES = frozenset({ATTRIBUTE, PATH})


class Kind(StrEnum):
    """What may be wrong with a flag."""

    MISSING = "missing"
    """Declared in the code; LaunchDarkly does not serve it."""
    ARCHIVED = "archived"
    """Declared in the code, archived in LaunchDarkly."""
    WRONG_TYPE = "wrong-type"
    UNDECLARED = "undeclared"
    """Served by LaunchDarkly, not declared in the code."""
    NOT_EVALUATED = "not-evaluated"
    UNKNOWN_SEGMENT = "unknown-segment"
    """Targets a segment that Django does not have, so nobody is in it."""
    MISLEADING = "misleading"
    """A rule does not do what it seems to, see `inspection.misleading_rules`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(JSONView):
    """One problem."""

    kind: Kind
    flag: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The input of `find_problems`."""

    declared: Mapping[str, Flag]
    segments: Collection[str]
    """Keys of the segments in Django."""
    archived: Collection[str] = ()
    usage: Usage
    today: datetime.date
    """In UTC."""
    days: int
    """A flag that was not evaluated for so many days is reported."""

    @property
    def counts_long_enough(self) -> bool:
        """Whether evaluations have been counted for all of these days."""
        since = self.usage.since
        return since is not None and since <= self.today - datetime.timedelta(days=self.days)


def find_problems(data: RawData, facts: Facts) -> list[Finding]:
    """All problems, by flag."""
    served = {flag.key: flag for flag in flags(data)}
    found = [
        *_missing(served, facts),
        *_of_wrong_type(served, facts),
        *_undeclared(served, facts),
        *_not_evaluated(served, facts),
        *_unknown_segments(data, facts),
        *_misleading(data),
    ]
    return sorted(found, key=lambda finding: (finding.flag, finding.kind))


def archived(keys: Iterable[str]) -> tuple[frozenset[str], str | None]:
    """Which of these flags are archived in LaunchDarkly; and why they could not be checked, or None.

    One HTTP request for each key: pass only keys that the SDK does not serve.
    """
    wanted = sorted(keys)
    if not wanted:
        return frozenset(), None
    if not app_settings().api_token:
        return frozenset(), (
            "Without LAUNCHDARKLY_API_TOKEN an archived flag looks like one that never existed."
        )
    found = set()
    try:
        with management_client() as client:
            for key in wanted:
                try:
                    if client.flag(key).archived:
                        found.add(key)
                except NotFoundError:
                    continue
    except ManagementError as error:
        return frozenset(found), f"LaunchDarkly could not be asked for archived flags: {error}"
    return frozenset(found), None


def _missing(served: Mapping[str, FlagView], facts: Facts) -> Iterator[Finding]:
    for key, flag in facts.declared.items():
        if key in served:
            continue
        default = f"everybody gets the default, {show(flag.default)}. Ask {flag.owner}."
        if key in facts.archived:
            words = f"is archived in LaunchDarkly, and still declared here: {default}"
            yield Finding(kind=Kind.ARCHIVED, flag=key, words=words)
        else:
            words = f"is declared here, and LaunchDarkly does not have it: {default}"
            yield Finding(kind=Kind.MISSING, flag=key, words=words)


def _of_wrong_type(served: Mapping[str, FlagView], facts: Facts) -> Iterator[Finding]:
    for key, flag in facts.declared.items():
        wrong = [
            show(value)
            for value in (served[key].variations if key in served else ())
            if not flag.type.holds(value)
        ]
        if wrong:
            values = ", ".join(wrong)
            words = f"is declared as {flag.type.value}, and LaunchDarkly may serve {values}."
            yield Finding(kind=Kind.WRONG_TYPE, flag=key, words=words)


def _undeclared(served: Mapping[str, FlagView], facts: Facts) -> Iterator[Finding]:
    for key in served:
        if key not in facts.declared:
            last = facts.usage.last.get(key)
            used = "" if last is None else f" It was last evaluated on {last}."
            words = f"is in LaunchDarkly, and not declared here.{used}"
            yield Finding(kind=Kind.UNDECLARED, flag=key, words=words)


def _not_evaluated(served: Mapping[str, FlagView], facts: Facts) -> Iterator[Finding]:
    """Evaluations in browsers are not counted here, so client-side flags are left out."""
    if not facts.counts_long_enough:
        return
    oldest = facts.today - datetime.timedelta(days=facts.days)
    for key, flag in facts.declared.items():
        last = facts.usage.last.get(key)
        is_used = last is not None and last > oldest
        if key not in served or is_used or flag.client_side or served[key].client_side:
            continue
        when = (
            f"since {facts.usage.since}, when counting began" if last is None else f"since {last}"
        )
        words = f"was not evaluated {when}. Ask {flag.owner} whether it can go."
        yield Finding(kind=Kind.NOT_EVALUATED, flag=key, words=words)


def _unknown_segments(data: RawData, facts: Facts) -> Iterator[Finding]:
    for segment, uses in named_segments(data).items():
        if segment in facts.segments:
            continue
        for use in uses:
            words = f"targets the segment “{segment}”, which Django does not have: {use.words}."
            yield Finding(kind=Kind.UNKNOWN_SEGMENT, flag=use.flag, words=words)


def _misleading(data: RawData) -> Iterator[Finding]:
    traps = find_traps(
        data,
        is_indivisible=_is_indivisible,
        is_withheld=is_withheld,
        may_be_missing=_may_be_missing,
    )
    for trap in traps:
        yield Finding(kind=Kind.MISLEADING, flag=trap.flag, words=f"{trap.words}.")


def _is_indivisible(name: str) -> bool:
    """True if a rollout cannot use it: LaunchDarkly hashes only texts and whole numbers."""
    attribute = catalogue().get(name)
    return name in SEGMENT_ATTRIBUTES or (attribute is not None and attribute.type in INDIVISIBLE)


def _may_be_missing(name: str) -> bool:
    """Whether some users lack it: all metadata, and what the catalogue does not promise."""
    attribute = catalogue().get(name)
    return attribute is None or not attribute.always_known
