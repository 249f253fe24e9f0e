"""Test cases for segments as data: what ``check_segments`` reads and the engine's tests share.

A document is ``{"cases": [{"name", "segments": [LaunchDarkly JSON], "context": {"kind": "user",
"key", attributes…}, "expect": {segment key: true or false}, "now": RFC 3339, optional}]}``. The
engine alone answers: no catalogue, no database, no LaunchDarkly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from featureflags.core.types import Attributes, JSONValue
from featureflags.segments.definitions import USER_KIND, InvalidDefinition, SegmentDefinition
from featureflags.segments.explain import explain
from featureflags.segments.explanation_tree import Explanation
from featureflags.segments.member_json import parse_expiry
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset

_TOLERATED: Final = frozenset({"rule_empty", "values_empty"})
"""Refused on save, but a case may show what becomes of them."""

_CASE_FIELDS: Final = {"name", "segments", "context", "expect", "now"}


class InvalidCases(ValueError):
    """A document is not a list of cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One expectation of one case, what the engine answered, and why."""

    case: str
    segment_key: str
    expected: bool
    actual: bool
    explanation: Explanation

    @property
    def passed(self) -> bool:
        """Whether the engine answered as expected."""
        return self.actual is self.expected

    def lines(self) -> list[str]:
        """For a terminal: the verdict, and the explanation of a failure."""
        if self.passed:
            return [f"ok      {self.case}: {self.segment_key}"]
        wanted = "in" if self.expected else "not in"
        return [
            f"FAILED  {self.case}: expected the user to be {wanted} {self.segment_key}",
            *(f"        {line}" for line in self.explanation.lines()),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CasesRun:
    """What became of the cases of a document."""

    results: tuple[CaseResult, ...]
    problems: tuple[str, ...]
    """What is wrong with the cases that cannot be run; each names its case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    name: str
    ruleset: Ruleset
    attributes: Attributes
    expect: Mapping[str, bool]
    now: int
    kind: str


def run_cases(
    document: object,
    *,
    now: int,
    definitions: Sequence[SegmentDefinition] | None = None,
) -> CasesRun:
    """Evaluate every case: one result for each expectation, in order.

    ``now`` (µs) serves the cases that name none. With ``definitions`` these segments are asked
    instead of the cases' own, which may then be left out. A case that is not in the format is
    named, and all others run. Raises InvalidCases if the document has no list of cases.
    """
    raw_cases = document.get("cases") if isinstance(document, dict) else None
    if not isinstance(raw_cases, list):
        raise InvalidCases('a document must be an object with a list "cases"')
    live = None if definitions is None else Ruleset(definitions)
    readers = [_Reader(raw, number) for number, raw in enumerate(raw_cases, start=1)]
    cases = [reader.case(now, live) for reader in readers]
    return CasesRun(
        results=tuple(
            result
            for reader, case in zip(readers, cases, strict=True)
            if not reader.problems
            for result in _run(case)
        ),
        problems=tuple(
            f"{reader.name}: {problem}" for reader in readers for problem in reader.problems
        ),
    )


class _Reader:
    """Reads one case and collects what is wrong with it."""

    def __init__(self, raw: object, number: int) -> None:
        self.raw: dict[str, JSONValue] = raw if isinstance(raw, dict) else {}
        self.problems: list[str] = []
        name = self.raw.get("name")
        self.name = name if isinstance(name, str) and name else f"case {number}"
        if not isinstance(raw, dict):
            self.problems.append("a case must be an object")
        self.problems.extend(
            f"unknown field {field!r}" for field in self.raw if field not in _CASE_FIELDS
        )

    def case(self, now: int, live: Ruleset | None) -> _Case:
        ruleset = live if live is not None else Ruleset(self._segments())
        context = self.raw.get("context")
        kind = context.get("kind") if isinstance(context, dict) else None
        kind = kind if isinstance(kind, str) and kind else USER_KIND
        return _Case(
            kind=kind,
            name=self.name,
            ruleset=ruleset,
            attributes=self._attributes(),
            expect=self._expect(ruleset, kind),
            now=self._now(now),
        )

    def _segments(self) -> list[SegmentDefinition]:
        raw = self.raw.get("segments")
        if not isinstance(raw, list):
            self.problems.append('"segments" must be a list')
            return []
        definitions: dict[str, SegmentDefinition] = {}
        for number, item in enumerate(raw, start=1):
            try:
                definition = parse_definition(item, tolerate=_TOLERATED)
            except InvalidDefinition as error:
                self.problems.extend(f"segment {number}: {problem}" for problem in error.problems)
                continue
            if definition.key in definitions:
                self.problems.append(f"segment {number}: the key {definition.key!r} is used twice")
            definitions[definition.key] = definition
        return list(definitions.values())

    def _attributes(self) -> dict[str, JSONValue]:
        context = self.raw.get("context")
        kind = context.get("kind") if isinstance(context, dict) else None
        if not isinstance(context, dict) or not isinstance(kind, str) or kind in {"", "multi"}:
            self.problems.append('"context" must be an object of one kind, such as "user"')
            return {}
        key = context.get("key")
        if not isinstance(key, str) or not key:
            self.problems.append("the context must have a key, as text")
        return {name: value for name, value in context.items() if name != "kind"}

    def _expect(self, ruleset: Ruleset, kind: str) -> dict[str, bool]:
        raw = self.raw.get("expect")
        if not isinstance(raw, dict) or not raw:
            self.problems.append('"expect" must map segment keys to true or false')
            return {}
        expect = {}
        for key, expected in raw.items():
            if key not in ruleset.definitions:
                self.problems.append(f"it expects something of {key!r}, which is not a segment")
            elif ruleset.definitions[key].kind != kind:
                of = ruleset.definitions[key].kind
                self.problems.append(f"the context is of the kind {kind!r}, and {key!r} of {of!r}")
            elif not isinstance(expected, bool):
                self.problems.append(f"it must expect true or false of {key!r}")
            else:
                expect[key] = expected
        return expect

    def _now(self, default: int) -> int:
        raw = self.raw.get("now")
        if raw is None:
            return default
        now = parse_expiry(raw)
        if now is None:
            self.problems.append('"now" must be an RFC 3339 instant with an offset')
        return default if now is None else now


def _run(case: _Case) -> list[CaseResult]:
    matched = case.ruleset.match(case.attributes, now=case.now, kind=case.kind)
    return [
        CaseResult(
            case=case.name,
            segment_key=key,
            expected=expected,
            actual=key in matched,
            explanation=explain(case.ruleset, key, case.attributes, now=case.now),
        )
        for key, expected in case.expect.items()
    ]
