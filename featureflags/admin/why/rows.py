"""What the pages that explain show: sections of segments, with their rules and conditions."""

from __future__ import annotations

from dataclasses import dataclass

from featureflags.admin.shared.pages import Heading, Link


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionRow:
    """One condition, and the value of the row."""

    words: str
    held: bool | None
    """None: not known."""
    observed: str
    note: str = ""
    links: tuple[Link, ...] = ()
    """To the segments that the condition names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """One rule. `state` is `matched`, `failed`, `unknown` or `unasked`, for the style sheet."""

    number: int
    description: str
    state: str
    verdict: str
    conditions: tuple[ConditionRow, ...]
    serves: str = ""
    href: str = ""
    """To the rule in the editor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One of several rows that a text finds."""

    value: str
    """What is sent where it is chosen: kind and key."""
    person: Heading
    kind: str
    """What its kind is called; empty where all are of one kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one does next: a form that includes or excludes the row by name."""

    text: str
    action: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One segment, ours or LaunchDarkly's."""

    anchor: str
    title: str
    verdict: bool | None
    headline: str
    notes: tuple[str, ...] = ()
    rules: tuple[RuleRow, ...] = ()
    links: tuple[Link, ...] = ()
