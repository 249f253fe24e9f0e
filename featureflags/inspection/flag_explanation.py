"""Why a flag has its value for one context: each rule, each condition, and what it saw.

The verdict is LaunchDarkly's own, by the reason of its answer. What the reason leaves out (why an
earlier rule did not match, what a condition saw, which rule of a LaunchDarkly segment matched) is
judged here by the operators of our segments, which are proven equal to LaunchDarkly's. Where these
two come to different ends, `FlagExplanation.agrees` is False, and what stands there is no
explanation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from featureflags.core.i18n import gettext
from featureflags.core.types import Attributes
from featureflags.inspection.clauses import names_of, targets_among
from featureflags.inspection.deciding_rule import decision
from featureflags.inspection.flag_parsing import Prerequisite as Prerequisite
from featureflags.inspection.flag_parsing import Raw, RawData, RuleView, prerequisites_in, rules_of
from featureflags.inspection.raw_json import objects
from featureflags.inspection.rollouts import WHOLE, Serving, bucket, serving_of, variation_of
from featureflags.segments.definitions import SEGMENT_MATCH, USER_KIND, Clause
from featureflags.segments.explain import observed_in_words
from featureflags.segments.explanation_tree import MISSING
from featureflags.segments.formatting import show, words
from featureflags.segments.matching import compile_clause, reader
from featureflags.segments.operators import VALUE_TESTS
from featureflags.segments.references import attribute_path

MOST_NESTED: Final = 50
"""LaunchDarkly segments within segments. Past that, nothing is said of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseTrace:
    """One condition of a rule, and what it saw."""

    number: int
    """Counted from 1."""
    clause: Clause
    observed: object
    """MISSING: the context has no such attribute. For segmentMatch, the segments it is in."""
    held: bool | None
    """None: it cannot be told here."""
    why: str
    segments: tuple[str, ...] = ()
    """Django's segments that it names, or that it happens to match."""
    launchdarkly_segments: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        return words(self.clause)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTrace:
    """One rule of a flag or of a LaunchDarkly segment."""

    number: int
    """Counted from 1."""
    id: str
    description: str
    clauses: tuple[ClauseTrace, ...]
    matched: bool | None
    """None: it cannot be told here."""
    serving: Serving | None = None
    """What a flag's rule serves. A segment's serves nothing."""
    weight: int | None = None
    """A segment's rule may be for a share of those who fulfil it: thousandths of a percent."""
    bucket: float | None = None
    """Where this context falls then, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTrace:
    """One segment of LaunchDarkly's own."""

    key: str
    verdict: bool | None
    """None: it cannot be told here."""
    decided_by: str
    """`included`, `excluded`, `rule 1`, `no rule`, `unknown`, `unbounded` or `cycle`."""
    rules: tuple[RuleTrace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagExplanation:
    """Why a flag has its value for one context."""

    flag: str
    on: bool
    decided_by: int | None
    """The number of the rule that decided, as the flag is now; None: no rule, or one that is gone."""
    has_changed: bool
    """The flag has changed since it was evaluated."""
    rules: tuple[RuleTrace, ...]
    segments: Mapping[str, SegmentTrace]
    """LaunchDarkly's own segments that the rules rest on, by key, as they are met."""
    prerequisites: tuple[Prerequisite, ...]
    fallthrough: Serving
    off: Serving
    agrees: bool
    """Whether what is told of the rules leads to what LaunchDarkly answered."""

    @property
    def django_segments(self) -> tuple[str, ...]:
        """Django's segments that the conditions name, in the order in which they are met."""
        rules: list[RuleTrace] = [*self.rules]
        for segment in self.segments.values():
            rules += segment.rules
        named = (key for rule in rules for clause in rule.clauses for key in clause.segments)
        return tuple(dict.fromkeys(named))


def explain_flag(
    key: str,
    data: RawData,
    context: Attributes,
    reason: Mapping[str, Any],
    segments: Iterable[str] = (),
) -> FlagExplanation | None:
    """Explain one flag; None if `data` has no such flag.

    `context` is what LaunchDarkly was told of a user, `reason` what it answered, `segments` are
    Django's that the user is in.
    """
    raw = data.get("flags", {}).get(key)
    if not isinstance(raw, Mapping):
        return None
    tracer = _Tracer(data=data, context=context, ours=tuple(sorted(segments)))
    rules = tuple(
        tracer.rule(view, serving=serving_of(rule, raw, context=context))
        for view, rule in zip(rules_of(raw), objects(raw, "rules"), strict=True)
    )
    decided = decision(key, raw, reason)
    number = None if decided is None else decided.rule
    return FlagExplanation(
        flag=key,
        on=raw.get("on") is True,
        decided_by=number,
        has_changed=decided is not None and decided.has_changed,
        rules=rules,
        segments=tracer.segments,
        prerequisites=tuple(prerequisites_in(raw, data)),
        fallthrough=serving_of(raw.get("fallthrough"), raw, context=context),
        off=variation_of(raw, raw.get("offVariation")),
        agrees=_agrees(rules, number, reason),
    )


def _agrees(rules: Sequence[RuleTrace], number: int | None, reason: Mapping[str, Any]) -> bool:
    """Whether the traces allow that this rule decided (None: that none did)."""
    kind = reason.get("kind")
    if kind == "FALLTHROUGH":
        return all(rule.matched is not True for rule in rules)
    if kind != "RULE_MATCH" or number is None:
        return True
    *earlier, decided = rules[:number]
    return decided.matched is not False and all(rule.matched is not True for rule in earlier)


@dataclass(kw_only=True, slots=True)
class _Tracer:
    """Judges conditions for one context; each LaunchDarkly segment once."""

    data: RawData
    context: Attributes
    ours: tuple[str, ...]
    segments: dict[str, SegmentTrace] = field(default_factory=dict)
    _depth: int = 0

    def rule(
        self, view: RuleView, *, serving: Serving | None = None, share: _Share | None = None
    ) -> RuleTrace:
        clauses = tuple(
            self._clause(clause, number) for number, clause in enumerate(view.clauses, start=1)
        )
        verdicts = [clause.held for clause in clauses]
        if share is not None and share.bucket is not None:
            verdicts.append(share.bucket < share.weight / WHOLE)
        matched = False if False in verdicts else None if None in verdicts else True
        return RuleTrace(
            number=view.number,
            id=view.id,
            description=view.description,
            clauses=clauses,
            matched=matched,
            serving=serving,
            weight=None if share is None else share.weight,
            bucket=None if share is None else share.bucket,
        )

    def _clause(self, clause: Clause, number: int) -> ClauseTrace:
        if clause.op == SEGMENT_MATCH:
            return self._segment_match(clause, number)
        held, observed, why = self._judged(clause)
        matched = targets_among(clause, self.ours)
        return ClauseTrace(
            number=number,
            clause=clause,
            observed=observed,
            held=held,
            why=why,
            segments=tuple(dict.fromkeys((*names_of(clause), *matched))),
        )

    def _judged(self, clause: Clause) -> tuple[bool | None, object, str]:
        """Whether a condition holds (None: not to be told), what it saw, and why in words."""
        if clause.context_kind not in {None, USER_KIND}:
            if clause.attribute.strip("/") == "kind":
                return (
                    None,
                    MISSING,
                    gettext("what kinds of contexts there are is not looked into here"),
                )
            why = gettext("there is no context of the kind %(context_kind)s: no match") % {
                "context_kind": show(clause.context_kind)
            }
            return False, MISSING, why
        if clause.op not in VALUE_TESTS:
            return self._unknown_operator(clause)
        compiled = compile_clause(clause, rule=1, number=1)
        if compiled.broken is not None:
            return (
                None,
                MISSING,
                gettext("it cannot be told here: %(message)s")
                % {"message": compiled.broken.message},
            )
        value = reader(compiled.path)(self.context)
        observed = MISSING if value is None else value
        held: bool | None = compiled.held(self.context, frozenset())
        if observed is not MISSING and compiled.incomparable(observed):
            held = None
        return held, observed, observed_in_words(compiled, observed, held=held is True)

    def _unknown_operator(self, clause: Clause) -> tuple[bool | None, object, str]:
        """LaunchDarkly takes it for False, hence True when negated."""
        why = gettext("LaunchDarkly has no operator %(op)s: no match, unless negated") % {
            "op": show(clause.op)
        }
        try:
            value = reader(attribute_path(clause.attribute, clause.context_kind))(self.context)
        except ValueError as error:
            return None, MISSING, gettext("it cannot be told here: %(error)s") % {"error": error}
        if value is None:
            return False, MISSING, why
        return clause.negate, value, why

    def _segment_match(self, clause: Clause, number: int) -> ClauseTrace:
        keys = tuple(dict.fromkeys(key for key in clause.values if isinstance(key, str)))
        traces = [self._segment(key) for key in keys]
        within = [trace.key for trace in traces if trace.verdict]
        listed = ", ".join(keys) or gettext("no segment")
        held: bool | None
        if within:
            held, why = not clause.negate, gettext("in %(within)s") % {"within": ", ".join(within)}
        elif any(trace.verdict is None for trace in traces):
            held, why = (
                None,
                gettext("whether the user is in %(listed)s cannot be told here")
                % {"listed": listed},
            )
        else:
            held, why = clause.negate, gettext("in none of %(listed)s") % {"listed": listed}
        return ClauseTrace(
            number=number,
            clause=clause,
            observed=within,
            held=held,
            why=why,
            launchdarkly_segments=keys,
        )

    def _segment(self, key: str) -> SegmentTrace:
        known = self.segments.get(key)
        if known is not None:
            return known
        raw = self.data.get("segments", {}).get(key)
        if not isinstance(raw, Mapping):
            trace = SegmentTrace(key=key, verdict=False, decided_by="unknown")
        elif self._depth >= MOST_NESTED:
            return _cycle(key)
        else:
            # Met again within itself, it is a cycle: LaunchDarkly answers no flag that rests on one.
            self.segments[key] = _cycle(key)
            self._depth += 1
            trace = self._traced(key, raw)
            self._depth -= 1
        self.segments[key] = trace
        return trace

    def _traced(self, key: str, raw: Raw) -> SegmentTrace:
        if raw.get("unbounded") is True:
            return SegmentTrace(key=key, verdict=None, decided_by="unbounded")
        user = self.context.get("key")
        if user in _keys(raw, "included", "includedContexts"):
            return SegmentTrace(key=key, verdict=True, decided_by="included")
        if user in _keys(raw, "excluded", "excludedContexts"):
            return SegmentTrace(key=key, verdict=False, decided_by="excluded")
        rules = tuple(
            self.rule(view, share=self._share(rule, raw, key))
            for view, rule in zip(rules_of(raw), objects(raw, "rules"), strict=True)
        )
        for rule in rules:
            if rule.matched is None:
                return SegmentTrace(
                    key=key,
                    verdict=None,
                    decided_by=f"rule {rule.number}",
                    rules=rules,
                )
            if rule.matched:
                return SegmentTrace(
                    key=key,
                    verdict=True,
                    decided_by=f"rule {rule.number}",
                    rules=rules,
                )
        return SegmentTrace(key=key, verdict=False, decided_by="no rule", rules=rules)

    def _share(self, rule: Raw, segment: Raw, key: str) -> _Share | None:
        weight = rule.get("weight")
        if not isinstance(weight, int) or isinstance(weight, bool):
            return None
        by = str(rule.get("bucketBy") or "key")
        prefix = f"{key}.{segment.get('salt') or ''}"
        place = bucket(self.context, prefix, by, rule.get("rolloutContextKind"))
        return _Share(weight=weight, bucket=place)


def _cycle(key: str) -> SegmentTrace:
    return SegmentTrace(key=key, verdict=None, decided_by="cycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    weight: int
    bucket: float


def _keys(raw: Raw, keys: str, contexts: str) -> list[Any]:
    """The keys of users in one of a segment's lists."""
    listed = raw.get(keys)
    found = list(listed) if isinstance(listed, list) else []
    for target in objects(raw, contexts):
        if target.get("contextKind") in {None, "", USER_KIND}:
            values = target.get("values")
            found += values if isinstance(values, list) else []
    return found
