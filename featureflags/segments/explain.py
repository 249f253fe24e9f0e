"""Why a user is in a segment, or not: the verdict, each rule and each condition in words.

Every verdict comes from the compiled predicates themselves, so an explanation never differs from the
match.
"""

from __future__ import annotations

from collections.abc import Mapping

from featureflags.core.i18n import gettext
from featureflags.core.types import Attributes
from featureflags.segments.compiled_rules import CompiledRule
from featureflags.segments.compiled_segments import CompiledSegment
from featureflags.segments.definitions import EXISTS, SEGMENT_MATCH, Rule
from featureflags.segments.explanation_tree import (
    MISSING,
    ConditionExplanation,
    Explanation,
    PercentageExplanation,
    RuleExplanation,
)
from featureflags.segments.formatting import case_in_words, listed, show
from featureflags.segments.matching import CompiledClause, reader
from featureflags.segments.operator_labels import OPERATORS, label_for
from featureflags.segments.percentages import CompiledPercentage, bucket_in_words
from featureflags.segments.ruleset import Ruleset


def explain(ruleset: Ruleset, segment_key: str, attributes: Attributes, *, now: int) -> Explanation:
    """Explain one segment for a user with these attributes (``key`` among them) at ``now`` (µs)."""
    explained: dict[str, Explanation] = {}
    matched: set[str] = set()
    if ruleset.segment(segment_key) is None:
        return Explanation(segment_key=segment_key, verdict=False, decided_by="unknown segment")
    for segment in ruleset.with_dependencies(segment_key):
        key = segment.definition.key
        explained[key] = _explain(segment, attributes, matched, explained, now)
        if explained[key].verdict:
            matched.add(key)
    return explained[segment_key]


def _explain(
    segment: CompiledSegment,
    attributes: Attributes,
    matched: set[str],
    explained: Mapping[str, Explanation],
    now: int,
) -> Explanation:
    kind = segment.definition.kind
    rules = tuple(
        _explain_rule(rule, number, attributes, matched, explained, kind, now)
        for number, rule in enumerate(segment.rules, start=1)
    )
    membership = segment.membership(attributes, now=now)
    if membership is not None:
        verdict, decided_by = membership, "included" if membership else "excluded"
    else:
        number = next((rule.number for rule in rules if rule.matched), None)
        verdict, decided_by = (
            number is not None,
            f"rule {number}" if number else "no rule",
        )
    return Explanation(
        segment_key=segment.definition.key, verdict=verdict, decided_by=decided_by, rules=rules
    )


def _explain_rule(
    rule: CompiledRule,
    number: int,
    attributes: Attributes,
    matched: set[str],
    explained: Mapping[str, Explanation],
    kind: str,
    now: int,
) -> RuleExplanation:
    conditions = tuple(
        _explain_clause(clause, attributes, matched, explained, kind, now)
        for clause in rule.clauses
    )
    share = None
    if rule.percentage is not None:
        share = _explain_percentage(rule.rule, rule.percentage, attributes)
    held = all(condition.held for condition in conditions) and (share is None or share.held)
    return RuleExplanation(
        number=number,
        description=rule.rule.description,
        matched=held and not rule.dead,
        conditions=conditions,
        percentage=share,
    )


def _explain_percentage(
    rule: Rule, compiled: CompiledPercentage, attributes: Attributes
) -> PercentageExplanation:
    bucket, value = compiled.bucket(attributes), compiled.read(attributes)
    why = bucket_in_words(bucket, compiled.weight)
    if value is None:
        why = gettext("%(name)s is not known, which is bucket 0: %(why)s") % {
            "name": rule.bucket_by,
            "why": why,
        }
    return PercentageExplanation(rule=rule, bucket=bucket, held=compiled.takes(value), why=why)


def _explain_clause(
    compiled: CompiledClause,
    attributes: Attributes,
    matched: set[str],
    explained: Mapping[str, Explanation],
    kind: str,
    now: int,
) -> ConditionExplanation:
    clause = compiled.clause
    held = compiled.held(attributes, matched, now)
    observed: object = MISSING
    nested: tuple[Explanation, ...] = ()
    obstacle = ""
    if compiled.broken is not None:
        why = obstacle = gettext("a broken condition never holds: %(message)s") % {
            "message": compiled.broken.message
        }
    elif clause.op == SEGMENT_MATCH:
        named = [key for key in clause.values if isinstance(key, str)]
        nested = tuple(explained[key] for key in named if key in explained)
        within = [key for key in named if key in matched]
        observed = within
        why = (
            gettext("in %(within)s") % {"within": ", ".join(within)}
            if within
            else gettext("in none of %(named)s") % {"named": ", ".join(named)}
        )
    else:
        value = reader(compiled.path, kind)(attributes)
        observed = MISSING if value is None else value
        why = observed_in_words(compiled, observed, held=held)
        if observed is not MISSING and compiled.incomparable(observed):
            obstacle = why
    return ConditionExplanation(
        clause=clause, observed=observed, held=held, why=why, nested=nested, obstacle=obstacle
    )


def observed_in_words(compiled: CompiledClause, observed: object, *, held: bool) -> str:
    """What a clause saw (MISSING: nothing) and its result: ``role is "user": it is not any …``."""
    clause, name = compiled.clause, compiled.clause.attribute
    if observed is MISSING:
        if clause.op == EXISTS:
            return gettext("%(name)s is not known") % {"name": name}
        if held:
            return gettext("%(name)s is not known, which the condition allows") % {"name": name}
        return gettext(
            "%(name)s is not known, and a condition on it never holds, negated or not"
        ) % {"name": name}
    if clause.op == EXISTS:
        return gettext("%(name)s is %(observed)s") % {"name": name, "observed": show(observed)}
    if compiled.incomparable(observed):
        return gettext(
            "%(name)s is %(observed)s, which cannot be compared: no match, negated or not"
        ) % {"name": name, "observed": show(observed)}
    info = label_for(clause.op, clause.values) or OPERATORS[clause.op]
    # The label that is true of the value, whatever the clause asks for.
    label = info.label if held is not clause.negate else info.negated_label
    return gettext("%(name)s is %(observed)s: it %(label)s %(clause)s") % {
        "name": name,
        "observed": show(observed),
        "label": label,
        "clause": f"{listed(clause)}{case_in_words(clause)}",
    }
