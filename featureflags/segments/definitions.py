"""What a segment is: frozen values between the parser, the matcher, the exporter and the SQL.

Imports nothing but the shared JSON types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from featureflags.core.i18n import gettext
from featureflags.core.types import JSONValue

USER_KIND = "user"
"""The kind of a segment that names none."""

SEGMENT_MATCH = "segmentMatch"
EXISTS = "exists"
"""Our own operator, which LaunchDarkly lacks: the attribute is there and is not null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One condition of a rule.

    Without a ``context_kind`` the attribute is a literal name; with the kind of its segment one that
    starts with a slash is a path into objects (``/address/city``), as LaunchDarkly has it.
    """

    attribute: str
    op: str
    values: tuple[JSONValue, ...]
    negate: bool = False
    context_kind: str | None = None
    ignore_case: bool = False
    """Our own: upper and lower case count as the same, see ``letter_case``."""
    or_missing: bool = False
    """Our own, for a negated clause: it holds for a missing or null attribute too."""

    @property
    def holds_for_missing(self) -> bool:
        """True if a test of a value holds where there is none."""
        return self.negate and self.or_missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Clauses that must all hold. A rule without clauses matches nobody.

    With a ``weight``, in thousandths of a per cent, only so many of those match: the ones whose value
    of ``bucket_by`` (empty: their key) falls into LaunchDarkly's first buckets. Without a
    ``rollout_context_kind`` that attribute is a literal name, else it may be a path.
    """

    clauses: tuple[Clause, ...]
    id: str = ""
    description: str = ""
    weight: int | None = None
    bucket_by: str = ""
    rollout_context_kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentDefinition:
    """A whole segment: included beats excluded beats rules, and any rule is enough.

    Its members are rows of one ``kind``, and its conditions test attributes of that kind.
    ``included`` and ``excluded`` map the key of a row to the instant (µs since the epoch, UTC) at
    which the membership ends, or to None if it never does. ``begins`` maps the key of a member to the
    instant from which the membership counts; a key that is missing counts at once. Key and ``salt`` decide
    which rows the percentage of a rule takes.
    """

    key: str
    rules: tuple[Rule, ...] = ()
    included: Mapping[str, int | None] = field(default_factory=dict)
    excluded: Mapping[str, int | None] = field(default_factory=dict)
    version: int = 0
    kind: str = USER_KIND
    salt: str = ""
    bucket_key: str = ""
    """Of a draft under another key: the key with which it draws its percentages. Empty: its own."""
    begins: Mapping[str, int] = field(default_factory=dict)

    def current(self, members: Mapping[str, int | None], now: int) -> list[str]:
        """Those of ``included``, or of ``excluded``, whose membership counts at ``now``."""
        if not self.begins:
            return [key for key, until in members.items() if until is None or now < until]
        return [key for key in members if self.is_current(members, key, now)]

    def is_current(self, members: Mapping[str, int | None], key: str, now: int) -> bool:
        """True if the membership of this row counts at ``now``."""
        if key not in members:
            return False
        until = members[key]
        return (until is None or now < until) and self.begins.get(key, now) <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong, and where: rules and conditions are counted from 1."""

    code: str
    message: str
    rule: int | None = None
    clause: int | None = None

    def __str__(self) -> str:
        if self.rule is None:
            return self.message[:1].upper() + self.message[1:]
        if self.clause is None:
            return gettext("Rule %(rule)s: %(message)s") % {
                "rule": self.rule,
                "message": self.message,
            }
        return gettext("Rule %(rule)s, condition %(clause)s: %(message)s") % {
            "rule": self.rule,
            "clause": self.clause,
            "message": self.message,
        }


class InvalidDefinition(ValueError):
    """A definition was refused. ``problems`` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
