"""One segment in two rulesets: who is in it before and after, in SQL and in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featureflags.audience.sql.bounds import Bounds, Condition, all_of, any_of, negation
from featureflags.audience.sql.compiler import SegmentCompiler, kind_of_segment
from featureflags.audience.sql.operands import Source
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.kinds.compiled import CompiledKind
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.ruleset import Ruleset


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Three conditions on users for whom SQL can decide, and one for the others."""

    matching: Condition
    entering: Condition
    leaving: Condition
    in_doubt: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One segment in two rulesets, at one moment (µs)."""

    key: str
    before: Ruleset
    after: Ruleset
    now: int

    @classmethod
    def with_definition(
        cls, after: SegmentDefinition, *, before: Ruleset | None, now: int | None
    ) -> Comparison:
        """`after` takes the place of the definition with its key in `before` (None: the rules in
        force)."""
        before = known_ruleset().ruleset if before is None else before
        definitions = {**before.definitions, after.key: after}
        return cls(
            key=after.key,
            before=before,
            after=before.evolve(definitions.values(), version=before.version),
            now=now_in_microseconds() if now is None else now,
        )

    @property
    def kind(self) -> CompiledKind:
        """Whose rows are in the segment."""
        return kind_of_segment(self.after, self.key)

    def bounds(self, source: Source) -> tuple[Bounds, Bounds]:
        """The segment before and after."""
        before, after = (
            SegmentCompiler(ruleset, now=self.now, source=source).segment(self.key)
            for ruleset in (self.before, self.after)
        )
        return before, after

    def conditions(self, source: Source) -> Conditions:
        old, new = self.bounds(source)
        in_doubt = any_of([old.doubt, new.doubt])
        # Without doubt, both bounds are the same.
        is_sure = negation(in_doubt)
        return Conditions(
            matching=all_of([new.lower, is_sure]),
            entering=all_of([new.lower, negation(old.lower), is_sure]),
            leaving=all_of([old.lower, negation(new.lower), is_sure]),
            in_doubt=in_doubt,
        )

    def judge(self, user: Any) -> tuple[bool, bool]:
        """Whether a user is in it before, and after."""
        attributes = attributes_of(user, self.now)
        was_in = self.before.matches(self.key, attributes, now=self.now)
        return was_in, self.after.matches(self.key, attributes, now=self.now)
