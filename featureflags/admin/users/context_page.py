"""One user as LaunchDarkly sees them: context, segments, flags, and what changes by itself.

The page sends no events. Hidden SQL: the user with their groups, and one query for the names of all
segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from featureflags.admin.segments.used_by_flags import flag_address
from featureflags.admin.shared.pages import (
    SEGMENT,
    USER,
    change_user_link,
    heading_of,
    kinds_seen,
    may_see,
    name_of,
    require,
    respond,
    user_or_404,
    users_link,
)
from featureflags.admin.users.context_attributes import attribute_label, context_shown
from featureflags.audience import Transition, next_transitions
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.attributes import attributes_of
from featureflags.contexts.building import row_context
from featureflags.contexts.results import ContextSource, Evaluation
from featureflags.contexts.subject_context import SubjectContext, joined
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import Account
from featureflags.editing import moment_in_words
from featureflags.evaluation import all_flags, looking
from featureflags.evaluation.evaluate import evaluate_all
from featureflags.evaluation.reasons import degradation_in_words, reason_in_words
from featureflags.evaluation.resolve import resolve
from featureflags.flags.declared import declared_flags
from featureflags.inspection.deciding_rule import decision
from featureflags.inspection.flag_parsing import Raw
from featureflags.inspection.flags_using_attribute import flags_by_attribute
from featureflags.kinds.registry import USER as USER_KIND
from featureflags.kinds.registry import user_kind
from featureflags.launchdarkly.client import feature_store
from featureflags.models import Segment
from featureflags.segments.formatting import show

CHANGES_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """One segment. `why` is empty if the reader may not see segments."""

    key: str
    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRow:
    """One flag, its value as JSON, and everything else in words."""

    key: str
    description: str
    value: str
    reason: str
    rule: str
    """The conditions of the rule that decided, in words; empty if none did."""
    degraded: tuple[str, ...]
    page: str
    """To the flag's page; empty if the reader may not see segments."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """What changes at one moment, if nobody writes before."""

    at: str
    causes: tuple[str, ...]
    entering: tuple[str, ...]
    leaving: tuple[str, ...]
    flags: tuple[str, ...]


def user_page(request: HttpRequest, key: str, *, site: AdminSite) -> HttpResponse:
    """The page. Segments and flags can be searched by `q`."""
    require(request, USER)
    user = user_or_404(key)
    wanted = request.GET.get("q", "").strip()
    with looking(), unit_of_work():
        found = resolve(user)
        flags = all_flags(user)
        raw = feature_store().raw()
        changes = _changes(user, flags, found.parts[1:])
    page = _Page(user=user, wanted=wanted.lower(), may_explain=may_see(request, SEGMENT))
    inside, outside = page.segments(found.segments)
    return respond(
        request,
        site,
        "admin/featureflags/users/context_page.html",
        title=_("Segments and flags of %s") % name_of(user),
        trail=[
            users_link(),
            change_user_link(user),
        ],
        person=heading_of(user),
        query=wanted,
        inside=inside,
        outside=outside,
        flags=page.flags(flags, raw["flags"], found.all_segments),
        changes=changes,
        **context_shown(found, flags_by_attribute(raw), kinds_seen(request)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """The user of the page, and the search text in lower case."""

    user: Account
    wanted: str
    may_explain: bool

    def segments(self, within: tuple[str, ...]) -> tuple[list[SegmentRow], list[SegmentRow]]:
        """The segments that the user is in, and all others, by key."""
        rows = [
            SegmentRow(key=key, name=name, why=self._why("segment", key))
            for key, name in Segment.objects.filter(kind=USER_KIND)
            .order_by("key")
            .values_list("key", "name")
            if self._is_wanted(key, name)
        ]
        inside = frozenset(within)
        return (
            [row for row in rows if row.key in inside],
            [row for row in rows if row.key not in inside],
        )

    def flags(
        self,
        evaluations: Mapping[str, Evaluation],
        raw: Mapping[str, Raw],
        segments: tuple[str, ...],
    ) -> list[FlagRow]:
        """Every flag, by key."""
        rows = (self._flag(each, raw, segments) for each in evaluations.values())
        return [row for row in rows if self._is_wanted(row.key, row.description)]

    def _flag(
        self, evaluation: Evaluation, raw: Mapping[str, Raw], segments: tuple[str, ...]
    ) -> FlagRow:
        declared = declared_flags().get(evaluation.flag)
        flag = raw.get(evaluation.flag, {})
        decided = decision(evaluation.flag, flag, evaluation.reason, segments)
        return FlagRow(
            key=evaluation.flag,
            description=declared.description if declared else _("Not declared in this project."),
            value=show(evaluation.value),
            reason=reason_in_words(evaluation),
            rule="" if decided is None else decided.words,
            degraded=tuple(degradation_in_words(reason) for reason in evaluation.degraded),
            page=flag_address(evaluation.flag) if self.may_explain else "",
            why=self._why("flag", evaluation.flag),
        )

    def _is_wanted(self, *texts: str) -> bool:
        return not self.wanted or any(self.wanted in text.lower() for text in texts)

    def _why(self, what: str, key: str) -> str:
        if not self.may_explain:
            return ""
        return reverse(f"admin:featureflags_why_{what}", args=[key, self.user.pk])


def _changes(
    user: Account, flags: Mapping[str, Evaluation], others: Sequence[SubjectContext]
) -> list[ChangeRow]:
    """What changes by itself, with the flags that the SDK serves for the context of that moment.

    `others`: the contexts of the rows that belong to the user, as they are now.
    """
    now = now_in_microseconds()
    ruleset = current_ruleset().ruleset
    snapshot = user_kind().snapshot_of(user)
    rows, before = [], flags
    for change in next_transitions(ruleset, snapshot, now=now, most=CHANGES_TOLD):
        context = row_context(snapshot, ruleset, change.at, source=ContextSource.LOADED)
        after = evaluate_all(joined([context, *others]), None)
        rows.append(
            ChangeRow(
                at=moment_in_words(change.at),
                causes=tuple(_causes(change, snapshot)),
                entering=change.entering,
                leaving=change.leaving,
                flags=tuple(_differences(before, after)),
            )
        )
        before = after
    return rows


def _causes(change: Transition, snapshot: Any) -> Iterator[str]:
    attributes = attributes_of(snapshot, change.at)
    for name in change.attributes:
        value = show(attributes.get(name))
        yield _("%(attribute)s becomes %(value)s") % {
            "attribute": attribute_label(name) or name,
            "value": value,
        }
    for key in change.memberships:
        yield _("the membership by name of %s ends") % key


def _differences(
    before: Mapping[str, Evaluation], after: Mapping[str, Evaluation]
) -> Iterator[str]:
    for key, evaluation in after.items():
        old = before.get(key)
        # JSON values: true is not 1.
        if old is not None and show(old.value) != show(evaluation.value):
            yield f"{key}: {show(old.value)} → {show(evaluation.value)}"
