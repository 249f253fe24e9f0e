"""Finds rules that do not do what they seem to. All are valid JSON, and all occur in practice.

- A clause on `segments` with another text operator than `in`: `contains "user"` also matches
  `new_user`.
- A negated clause on `/segment/X`: users outside X do not have this attribute, and LaunchDarkly never
  matches a missing attribute, negated or not.
- A percentage rollout by an attribute that is a list, an object or a boolean: LaunchDarkly cannot
  hash it and gives everybody the first variation.
- A percentage rollout by an attribute that some users lack: all of them get the first variation.
- A clause on an attribute that is never sent to LaunchDarkly: it matches nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from featureflags.core.i18n import gettext
from featureflags.inspection.clauses import PATH, is_about_segments, path_of
from featureflags.inspection.flag_parsing import FlagView, RawData, RuleView, flags, segments
from featureflags.inspection.flags_using_attribute import named_segments_of, root_of
from featureflags.inspection.rollouts import Serving
from featureflags.segments.definitions import SEGMENT_MATCH, USER_KIND, Clause
from featureflags.segments.formatting import words
from featureflags.segments.references import reachable

Names = Callable[[str], bool]
"""Whether something is true of the attribute of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """One misleading rule."""

    flag: str
    """The flag; for a rule of a LaunchDarkly segment, the first flag that uses it."""
    words: str


def find_traps(
    data: RawData, *, is_indivisible: Names, is_withheld: Names, may_be_missing: Names
) -> list[Trap]:
    """All of them, by flag. A LaunchDarkly segment that no flag uses is skipped.

    `is_indivisible`: a rollout cannot bucket by this attribute. `is_withheld`: it is never sent to
    LaunchDarkly. `may_be_missing`: some users do not have it.
    """
    found: list[Trap] = []
    theirs = {segment.key: segment for segment in segments(data)}
    named = {key: named_segments_of(segment.rules) for key, segment in theirs.items()}
    seen: set[str] = set()
    for flag in flags(data):
        problems = [
            *_in_rules(flag.rules, is_withheld),
            *_in_rollouts(
                flag, is_indivisible, lambda name: is_withheld(name) or may_be_missing(name)
            ),
        ]
        used = reachable(lambda key: named.get(key, ()), named_segments_of(flag.rules))
        for key in sorted((used & theirs.keys()) - seen):
            whose = gettext(" of LaunchDarkly's segment “%(key)s”") % {"key": key}
            problems += [f"{each}{whose}" for each in _in_rules(theirs[key].rules, is_withheld)]
        seen |= used
        found += [Trap(flag=flag.key, words=each) for each in problems]
    return found


def _in_rules(rules: tuple[RuleView, ...], is_withheld: Names) -> Iterator[str]:
    for rule in rules:
        for number, clause in enumerate(rule.clauses, start=1):
            why = _trap_in(clause, is_withheld)
            if why is not None:
                yield gettext("%(why)s: %(clause)s, in %(name)s, condition %(number)s") % {
                    "why": why,
                    "clause": words(clause),
                    "name": rule.name,
                    "number": number,
                }


def _trap_in(clause: Clause, is_withheld: Names) -> str | None:
    path = path_of(clause)
    if not path or clause.op == SEGMENT_MATCH:
        return None
    if is_about_segments(clause):
        if path[0] == PATH:
            return (
                gettext("matches nobody, since only members have this attribute")
                if clause.negate
                else None
            )
        return None if clause.op == "in" else gettext("matches every segment with such a key")
    return (
        gettext("matches nobody, since this attribute is never sent to LaunchDarkly")
        if is_withheld(path[0])
        else None
    )


def _in_rollouts(flag: FlagView, is_indivisible: Names, may_be_missing: Names) -> Iterator[str]:
    servings: list[tuple[str, Serving | None]] = [(rule.name, rule.serving) for rule in flag.rules]
    for name, serving in [*servings, (gettext("the default rule"), flag.fallthrough)]:
        if serving is None or not serving.shares or serving.bucket_kind != USER_KIND:
            continue
        shown = {"bucket_by": serving.bucket_by, "words": serving.words, "name": name}
        if is_indivisible(root_of(serving.bucket_by)):
            yield (
                gettext(
                    "gives everybody the first variation, since LaunchDarkly cannot hash"
                    " %(bucket_by)s: %(words)s, in %(name)s"
                )
                % shown
            )
        elif may_be_missing(root_of(serving.bucket_by)):
            yield (
                gettext(
                    "gives everybody who lacks %(bucket_by)s the first variation, and a page and a"
                    " task may differ for one user: %(words)s, in %(name)s. Bucket by key"
                )
                % shown
            )
