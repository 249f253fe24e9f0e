"""Why a row is in a segment, or not: a section for the segment and for each segment that it uses.

Sections link to each other, so that a segment that several others use appears once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.admin.shared.formatting import observed_in_words
from featureflags.admin.shared.pages import Heading, Link, heading_of, why_segment_page
from featureflags.admin.why.rows import ConditionRow, RuleRow, Section, Step
from featureflags.editing import condition_in_words, moment_in_words, share_in_words
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER, user_kind
from featureflags.models import Segment, SegmentMember
from featureflags.segments.definitions import SEGMENT_MATCH, Clause
from featureflags.segments.explanation_tree import (
    MISSING,
    ConditionExplanation,
    Explanation,
    PercentageExplanation,
    RuleExplanation,
)
from featureflags.segments.percentages import bucket_in_words

TEXT_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "in": str.__eq__,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}
"""The operators on texts that tell upper from lower case."""


def anchor_of(segment_key: str) -> str:
    """The id of a segment's section on a page."""
    return f"segment-{segment_key}"


def segment_link(key: str, *, is_in: bool) -> Link:
    """To the section of a segment on the same page."""
    text = _("Why in %s?") if is_in else _("Why not in %s?")
    return Link(text=text % key, href=f"#{anchor_of(key)}")


def segment_sections(
    explanations: Iterable[Explanation],
    row: Any,
    *,
    asked: Collection[str] = (),
    kind: CompiledKind | None = None,
    draft: Segment | None = None,
) -> list[Section]:
    """A section for each of these and for each segment that they use: two queries.

    `row`: the user, or the row of `kind`. `asked`: keys whose own page this is; their sections do not link to it.
    `draft`: takes the place of the stored segment with its key.
    """
    found = _flattened(explanations)
    kind = kind or user_kind()
    person = heading_of(row, kind)
    named = {"user": row.pk} if kind.name == USER else {"key": person.key}
    rows = Segment.objects.in_bulk(list(found), field_name="key")
    if draft is not None:
        rows[draft.key] = draft
    members = {
        member.segment.key: member
        for member in SegmentMember.objects.filter(
            segment__key__in=list(found), **named
        ).select_related("segment")
    }
    return [
        _section(explanation, person, rows.get(key), members.get(key), own_page=key not in asked)
        for key, explanation in found.items()
    ]


def _flattened(explanations: Iterable[Explanation]) -> dict[str, Explanation]:
    """By key: these, then those that they use, the nearest first."""
    pending = deque(explanations)
    found: dict[str, Explanation] = {}
    while pending:
        explanation = pending.popleft()
        if explanation.segment_key not in found:
            found[explanation.segment_key] = explanation
            for rule in explanation.rules:
                for condition in rule.conditions:
                    pending.extend(condition.nested)
    return found


def _section(
    explanation: Explanation,
    person: Heading,
    segment: Segment | None,
    member: SegmentMember | None,
    *,
    own_page: bool,
) -> Section:
    key = explanation.segment_key
    kind = USER if segment is None else segment.kind
    links = []
    edit = ""
    if segment is not None and segment.pk is not None:
        if own_page:
            links.append(Link(text=_("Why?"), href=why_segment_page(key, person.key)))
        edit = reverse("admin:featureflags_segment_change", args=[segment.pk])
        links.append(Link(text=_("Open the segment"), href=edit))
    return Section(
        anchor=anchor_of(key),
        title=segment.name if segment is not None else key,
        verdict=explanation.verdict,
        headline=_headline(explanation, person.name, segment),
        notes=tuple(_notes(explanation, segment, member)),
        rules=tuple(_rule(rule, kind, edit) for rule in explanation.rules),
        links=tuple(links),
    )


def _headline(explanation: Explanation, who: str, segment: Segment | None) -> str:
    by = explanation.decided_by
    said = {"user": who, "segment": explanation.segment_key, "number": by.removeprefix("rule ")}
    texts = {
        "unknown segment": _("There is no segment “%(segment)s”: nobody is in it."),
        "included": _("%(user)s is in “%(segment)s”: included by name."),
        "excluded": _("%(user)s is not in “%(segment)s”: excluded by name."),
        "no rule": _("%(user)s is not in “%(segment)s”: no rule matches."),
    }
    if segment is not None and not segment.is_active:
        text = _("%(user)s is not in “%(segment)s”: it is not active.")
    elif by == "no rule" and not explanation.rules:
        text = _("%(user)s is not in “%(segment)s”: it has no rules.")
    else:
        text = texts.get(by, _("%(user)s is in “%(segment)s”: rule %(number)s matches."))
    return text % said


def _notes(
    explanation: Explanation, segment: Segment | None, member: SegmentMember | None
) -> Iterable[str]:
    if member is not None:
        yield _membership(member)
    if explanation.decided_by in {"included", "excluded"} and explanation.rules:
        yield _("The rules are not checked. They would give:")
    elif segment is not None and segment.is_active and not explanation.verdict:
        yield from _nearest(explanation.rules)


def _membership(member: SegmentMember) -> str:
    is_in = member.kind == SegmentMember.Kind.INCLUDE
    text = _("Included by name on %s") if is_in else _("Excluded by name on %s")
    text %= moment_in_words(member.created_at)
    for words, at in ((_("from %s"), member.starts_at), (_("until %s"), member.expires_at)):
        text += "" if at is None else f", {words % moment_in_words(at)}"
    return f"{text}: {member.reason}" if member.reason else f"{text}."


def _nearest(rules: tuple[RuleExplanation, ...]) -> Iterable[str]:
    """The rule with the fewest failed conditions, if some of its conditions hold."""
    failed = {
        rule.number: sum(not condition.held for condition in rule.conditions)
        + (rule.percentage is not None and not rule.percentage.held)
        for rule in rules
        if any(condition.held for condition in rule.conditions)
    }
    if failed:
        number = min(failed, key=lambda each: (failed[each], each))
        text = ngettext(
            "Rule %(number)d comes closest: %(failed)d condition does not hold.",
            "Rule %(number)d comes closest: %(failed)d conditions do not hold.",
            failed[number],
        )
        yield text % {"number": number, "failed": failed[number]}


def _rule(rule: RuleExplanation, kind: str, edit: str) -> RuleRow:
    return RuleRow(
        number=rule.number,
        href=f"{edit}#rule-{rule.number}" if edit else "",
        description=rule.description,
        state="matched" if rule.matched else "failed",
        verdict=_("matches") if rule.matched else _("does not match"),
        conditions=(
            *(_condition(condition, kind) for condition in rule.conditions),
            *((_share(rule.percentage, kind),) if rule.percentage is not None else ()),
        ),
    )


def _share(share: PercentageExplanation, kind: str) -> ConditionRow:
    """The percentage that the rule takes, as the last of its conditions."""
    return ConditionRow(
        words=share_in_words(share.rule, kind),
        held=share.held,
        observed=bucket_in_words(share.bucket, share.rule.weight or 0),
    )


def _condition(condition: ConditionExplanation, kind: str) -> ConditionRow:
    clause = condition.clause
    if clause.op == SEGMENT_MATCH:
        return _segment_condition(condition, kind)
    note = condition.obstacle
    if not note and condition.observed is MISSING and not condition.held:
        note = _("A user without it never matches, also if the condition is negated.")
        if kind != USER:
            note = _("Without it nothing matches, also if the condition is negated.")
    if not note and not condition.held and differs_in_case(clause, condition.observed):
        note = _("It differs only in upper and lower case.")
    return ConditionRow(
        words=condition_in_words(clause, kind),
        held=condition.held,
        observed=observed_in_words(clause.attribute, condition.observed, kind),
        note=note,
    )


def differs_in_case(clause: Clause, observed: object) -> bool:
    """True if a text would match were it not for upper and lower case."""
    test = TEXT_TESTS.get(clause.op)
    if test is None or clause.negate:
        return False
    texts = (
        observed if isinstance(observed, Sequence) and not isinstance(observed, str) else [observed]
    )
    return any(
        test(text.casefold(), value.casefold())
        for text in texts
        for value in clause.values
        if isinstance(text, str) and isinstance(value, str)
    )


def next_step(segment: Segment, row: Any, kind: CompiledKind, *, is_in: bool) -> Step | None:
    """Include by name whom the rules leave out, or exclude whom they let in; None if it has no effect."""
    if not segment.is_active:
        return None
    place = ("user", str(row.pk)) if kind.name == USER else ("row", kind.key_of(row))
    side = SegmentMember.Kind.EXCLUDE if is_in else SegmentMember.Kind.INCLUDE
    return Step(
        text=_("Exclude by name") if is_in else _("Include by name"),
        action=reverse("admin:featureflags_segment_by_name", args=[segment.key]),
        fields=(place, ("kind", side.value)),
    )


def _segment_condition(condition: ConditionExplanation, kind: str) -> ConditionRow:
    verdicts: Mapping[str, bool] = {each.segment_key: each.verdict for each in condition.nested}
    named = [key for key in condition.clause.values if isinstance(key, str)]
    within = ", ".join(key for key in named if verdicts.get(key))
    outside = _("Not in it") if len(named) == 1 else _("In none of them")
    return ConditionRow(
        words=condition_in_words(condition.clause, kind),
        held=condition.held,
        observed=_("In %s") % within if within else outside,
        note=condition.obstacle,
        links=tuple(segment_link(key, is_in=verdicts[key]) for key in named if key in verdicts),
    )
