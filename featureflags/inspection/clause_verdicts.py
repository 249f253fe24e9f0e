"""Whether one condition of a flag's rule holds for one context, what it saw, and why in words.

Judged by the operators of our segments, which are proven equal to LaunchDarkly's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from featureflags.core.i18n import gettext
from featureflags.core.types import Attributes
from featureflags.segments.definitions import USER_KIND, Clause
from featureflags.segments.explain import observed_in_words
from featureflags.segments.explanation_tree import MISSING
from featureflags.segments.formatting import show
from featureflags.segments.matching import compile_clause, reader
from featureflags.segments.operator_labels import LAUNCHDARKLY
from featureflags.segments.references import attribute_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one condition comes to."""

    held: bool | None
    """None: it cannot be judged here."""
    observed: object = MISSING
    """MISSING: the context has no such attribute."""
    why: str


def by_kind(context: Attributes) -> Mapping[str, Attributes]:
    """The contexts of a multi-context by kind, and any other by its own kind; as `to_dict` gives them."""
    kind = context.get("kind") or USER_KIND
    if kind != "multi":
        return {str(kind): context}
    return {name: each for name, each in context.items() if isinstance(each, dict)}


def judge(clause: Clause, contexts: Mapping[str, Attributes]) -> Verdict:
    """Judge any condition but a segmentMatch, which needs LaunchDarkly's segments. Never raises."""
    kind = clause.context_kind or USER_KIND
    if clause.attribute.strip("/") == "kind" and clause.op in LAUNCHDARKLY:
        return _on_kinds(clause, contexts)
    context = contexts.get(kind)
    if context is None:
        why = gettext("there is no context of the kind %(context_kind)s: no match")
        return Verdict(held=False, why=why % {"context_kind": show(kind)})
    if clause.op not in LAUNCHDARKLY:
        return _unknown_operator(clause, context)
    compiled = compile_clause(clause, rule=1, number=1, kind=kind)
    if compiled.broken is not None:
        return _cannot_be_judged(compiled.broken.message)
    value = reader(compiled.path, kind)(context)
    observed = MISSING if value is None else value
    held: bool | None = compiled.held(context, frozenset(), 0)
    if observed is not MISSING and compiled.incomparable(observed):
        held = None
    why = observed_in_words(compiled, observed, held=held is True)
    return Verdict(held=held, observed=observed, why=why)


def _cannot_be_judged(why: object) -> Verdict:
    text = gettext("this cannot be judged here: %(message)s") % {"message": why}
    return Verdict(held=None, why=text)


def _on_kinds(clause: Clause, contexts: Mapping[str, Attributes]) -> Verdict:
    """LaunchDarkly asks for the kinds of all contexts, whatever kind the condition names."""
    asked = Clause(attribute="kind", op=clause.op, values=clause.values)
    compiled = compile_clause(asked, rule=1, number=1)
    if compiled.broken is not None or compiled.test is None:
        return _cannot_be_judged(compiled.broken.message if compiled.broken else clause.op)
    kinds = sorted(contexts)
    held = any(compiled.test(kind) for kind in kinds)
    observed = kinds[0] if len(kinds) == 1 else kinds
    why = observed_in_words(compiled, observed, held=held)
    return Verdict(held=held is not clause.negate, observed=observed, why=why)


def _unknown_operator(clause: Clause, context: Attributes) -> Verdict:
    """LaunchDarkly takes it for False, and so for True when negated."""
    try:
        value = reader(attribute_path(clause.attribute, clause.context_kind))(context)
    except ValueError as error:
        return _cannot_be_judged(error)
    why = gettext("LaunchDarkly has no operator %(op)s: no match, unless negated") % {
        "op": show(clause.op)
    }
    if value is None:
        return Verdict(held=False, why=why)
    return Verdict(held=clause.negate, observed=value, why=why)
