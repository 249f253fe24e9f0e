"""Why a flag has its value for one context: each rule, each condition, and what it saw.

The verdict is LaunchDarkly's own, from the reason of its answer. What the reason leaves out (why an
earlier rule did not match, what a condition saw, which rule of a LaunchDarkly segment matched) is
judged here by our own operators. Where the two disagree, `FlagExplanation.agrees` is False: the
traces must not be shown as an explanation then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from featureflags.core.i18n import gettext
from featureflags.core.types import Attributes
from featureflags.inspection.clause_verdicts import by_kind, judge
from featureflags.inspection.clauses import names_of, targets_among
from featureflags.inspection.deciding_rule import decision
from featureflags.inspection.flag_parsing import Prerequisite as Prerequisite
from featureflags.inspection.flag_parsing import Raw, RawData, RuleView, prerequisites_in, rules_of
from featureflags.inspection.raw_json import objects
from featureflags.inspection.rollouts import WHOLE, Serving, bucket, serving_of, variation_of
from featureflags.segments.definitions import SEGMENT_MATCH, USER_KIND, Clause
from featureflags.segments.explanation_tree import MISSING
from featureflags.segments.formatting import words

MOST_NESTED: Final = 50
"""LaunchDarkly segments within segments. Deeper ones are not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseTrace:
    """One condition of a rule, and what it saw."""

    number: int
    """Counted from 1."""
    clause: Clause
    observed: object
    """MISSING: the context has no such attribute. For segmentMatch, the segments it is in."""
    held: bool | None
    """None: it cannot be judged here."""
    why: str
    is_hidden: bool = False
    """The reader may not see rows of the kind that it asks: there is no `observed`."""
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
    """None: it cannot be judged here."""
    serving: Serving | None = None
    """What a flag's rule serves; None for a rule of a segment."""
    weight: int | None = None
    """A segment's rule may take only a share of those who match: thousandths of a percent."""
    bucket: float | None = None
    """The place of this context in that share, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTrace:
    """One segment of LaunchDarkly's own."""

    key: str
    verdict: bool | None
    """None: it cannot be judged here."""
    decided_by: str
    """`included`, `excluded`, `rule 1`, `no rule`, `unknown`, `unbounded` or `cycle`."""
    rules: tuple[RuleTrace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagExplanation:
    """Why a flag has its value for one context."""

    flag: str
    on: bool
    decided_by: int | None
    """The number of the deciding rule in the flag as it is now; None: no rule, or one that is gone."""
    has_changed: bool
    """The flag has changed since it was evaluated."""
    rules: tuple[RuleTrace, ...]
    segments: Mapping[str, SegmentTrace]
    """LaunchDarkly's own segments that the rules use, by key, in the order in which they are met."""
    prerequisites: tuple[Prerequisite, ...]
    fallthrough: Serving
    off: Serving
    agrees: bool
    """Whether the traces lead to what LaunchDarkly answered."""

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
    *,
    seen: Collection[str] | None = None,
) -> FlagExplanation | None:
    """Explain one flag; None if `data` has no such flag.

    `context`: as it was sent, of one kind or several; `reason`: LaunchDarkly's; `segments`: those in Django
    of all its parts; `seen`: the kinds whose values the reader may see, None: of all.
    """
    raw = data.get("flags", {}).get(key)
    if not isinstance(raw, Mapping):
        return None
    contexts = by_kind(context)
    tracer = _Tracer(data=data, contexts=contexts, ours=tuple(sorted(segments)), seen=seen)
    rules = tuple(
        tracer.rule(view, serving=serving_of(rule, raw, contexts=contexts))
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
        fallthrough=serving_of(raw.get("fallthrough"), raw, contexts=contexts),
        off=variation_of(raw, raw.get("offVariation")),
        agrees=_agrees(rules, number, reason),
    )


def _agrees(rules: Sequence[RuleTrace], number: int | None, reason: Mapping[str, Any]) -> bool:
    """True if the traces agree that this rule decided (None: no rule)."""
    if (kind := reason.get("kind")) == "FALLTHROUGH":
        return all(rule.matched is not True for rule in rules)
    if kind != "RULE_MATCH" or number is None:
        return True
    *earlier, decided = rules[:number]
    return decided.matched is not False and all(rule.matched is not True for rule in earlier)


@dataclass(kw_only=True, slots=True)
class _Tracer:
    """Judges conditions for one context; each LaunchDarkly segment once."""

    data: RawData
    contexts: Mapping[str, Attributes]
    ours: tuple[str, ...]
    seen: Collection[str] | None
    segments: dict[str, SegmentTrace] = field(default_factory=dict)
    _depth: int = 0

    def rule(
        self,
        view: RuleView,
        *,
        serving: Serving | None = None,
        share: tuple[int | None, float | None] = (None, None),
    ) -> RuleTrace:
        weight, place = share
        clauses = tuple(
            self._clause(clause, number) for number, clause in enumerate(view.clauses, start=1)
        )
        verdicts = [clause.held for clause in clauses]
        if weight is not None and place is not None:
            verdicts.append(place < weight / WHOLE)
        matched = False if False in verdicts else None if None in verdicts else True
        return RuleTrace(
            number=view.number,
            id=view.id,
            description=view.description,
            clauses=clauses,
            matched=matched,
            serving=serving,
            weight=weight,
            bucket=place,
        )

    def _clause(self, clause: Clause, number: int) -> ClauseTrace:
        if clause.op == SEGMENT_MATCH:
            return self._segment_match(clause, number)
        verdict, kind = judge(clause, self.contexts), clause.context_kind or USER_KIND
        is_hidden = self.seen is not None and kind in self.contexts and kind not in self.seen
        if is_hidden:
            text = gettext("you may not see what the %(kind)s has")
            verdict = replace(verdict, observed=MISSING, why=text % {"kind": kind})
        matched = targets_among(clause, self.ours)
        return ClauseTrace(
            number=number,
            clause=clause,
            observed=verdict.observed,
            held=verdict.held,
            why=verdict.why,
            is_hidden=is_hidden,
            segments=tuple(dict.fromkeys((*names_of(clause), *matched))),
        )

    def _segment_match(self, clause: Clause, number: int) -> ClauseTrace:
        keys = tuple(dict.fromkeys(key for key in clause.values if isinstance(key, str)))
        traces = [self._segment(key) for key in keys]
        within = [trace.key for trace in traces if trace.verdict]
        listed = ", ".join(keys) or gettext("no segment")
        held: bool | None = clause.negate
        why = gettext("in none of %(listed)s") % {"listed": listed}
        if within:
            held, why = not clause.negate, gettext("in %(within)s") % {"within": ", ".join(within)}
        elif any(trace.verdict is None for trace in traces):
            text = gettext("whether the user is in %(listed)s cannot be judged here")
            held, why = None, text % {"listed": listed}
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
            # Met again within itself, it is a cycle: LaunchDarkly evaluates no flag that uses one.
            self.segments[key] = _cycle(key)
            self._depth += 1
            trace = self._traced(key, raw)
            self._depth -= 1
        self.segments[key] = trace
        return trace

    def _traced(self, key: str, raw: Raw) -> SegmentTrace:
        if raw.get("unbounded") is True:
            return SegmentTrace(key=key, verdict=None, decided_by="unbounded")
        if self._is_among(raw, "included", "includedContexts"):
            return SegmentTrace(key=key, verdict=True, decided_by="included")
        if self._is_among(raw, "excluded", "excludedContexts"):
            return SegmentTrace(key=key, verdict=False, decided_by="excluded")
        rules = tuple(
            self.rule(view, share=self._share(rule, raw, key))
            for view, rule in zip(rules_of(raw), objects(raw, "rules"), strict=True)
        )
        # The first rule that matches decides, or the first that might.
        for rule in rules:
            if rule.matched is not False:
                by = f"rule {rule.number}"
                return SegmentTrace(key=key, verdict=rule.matched, decided_by=by, rules=rules)
        return SegmentTrace(key=key, verdict=False, decided_by="no rule", rules=rules)

    def _is_among(self, raw: Raw, keys: str, contexts: str) -> bool:
        """Whether one of a segment's two lists holds the key of a context."""
        listed = [(USER_KIND, raw.get(keys))]
        listed += [
            (str(target.get("contextKind") or USER_KIND), target.get("values"))
            for target in objects(raw, contexts)
        ]
        return any(
            isinstance(values, list) and self.contexts[kind].get("key") in values
            for kind, values in listed
            if kind in self.contexts
        )

    def _share(self, rule: Raw, segment: Raw, key: str) -> tuple[int | None, float | None]:
        """The weight of a segment's rule, and the place of this context."""
        weight = rule.get("weight")
        if not isinstance(weight, int) or isinstance(weight, bool):
            return None, None
        by, prefix = str(rule.get("bucketBy") or "key"), f"{key}.{segment.get('salt') or ''}"
        return weight, bucket(self.contexts, prefix, by, rule.get("rolloutContextKind"))


def _cycle(key: str) -> SegmentTrace:
    return SegmentTrace(key=key, verdict=None, decided_by="cycle")
