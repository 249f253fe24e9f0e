"""The dashboard on the admin's first page: numbers, bars and lines, as the user's permissions allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import template
from django.template.context import Context
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from featureflags.admin import attention
from featureflags.admin.charts import Point, bar, line_chart, sparkline
from featureflags.admin.dashboard import (
    Answers,
    SegmentLine,
    Segments,
    Users,
    answers_part,
    segments_part,
    users_part,
    waiting_part,
    warm_ups_part,
)
from featureflags.admin.shared.pages import model_of
from featureflags.evaluation.reasons import degradation_in_words
from featureflags.kinds.registry import kinds, user_kind

register = template.Library()


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number with its label."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentBar:
    """One segment as a row."""

    key: str
    name: str
    size: str
    chart: SafeString
    spark: SafeString
    trend: str


@register.inclusion_tag("admin/featureflags/dashboard.html", takes_context=True)
def dashboard(context: Context) -> dict[str, Any]:
    """The parts that the user of the page may see. It reads stored numbers, and counts no users."""
    user = context["user"]

    def may_see(app: str, model: str) -> bool:
        return any(user.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change"))

    of_users = user_kind().model._meta
    sees_segments = may_see("featureflags", "segment")
    sees_users = may_see(of_users.app_label, str(of_users.model_name))
    answers = answers_part()
    needs = [*attention.of_answers(answers)]
    found: dict[str, Any] = {
        "zone": timezone.get_current_timezone_name(),
        "sees_segments": sees_segments,
        "sees_users": sees_users,
        "may_explain": sees_segments
        and any(may_see(*model_of(kind).split(".")) for kind in kinds()),
        **_answers(answers),
    }
    if sees_users:
        found |= _users(users_part())
    if sees_segments:
        segments = segments_part()
        found |= _segments(segments)
        found["waiting"] = waiting = waiting_part()
        needs += [*attention.of_waiting(waiting, user), *attention.of_segments(segments)]
    if may_see("featureflags", "warmrun"):
        warm_ups = warm_ups_part()
        found |= {"sees_warm_ups": True, "warm_ups": warm_ups}
        needs += attention.of_warm_ups(warm_ups)
    return {**found, "attention": needs}


def _users(users: Users | None) -> dict[str, Any]:
    if users is None:
        return {"users": None}
    numbers = [
        Number(label=_("Users"), value=f"{users.users:,}"),
        Number(label=_("Seen in 24 hours"), value=f"{users.seen_today:,}"),
        Number(label=_("Seen in 7 days"), value=f"{users.seen_within_7_days:,}"),
        Number(label=_("Seen in 30 days"), value=f"{users.seen_within_30_days:,}"),
    ]
    active = {point.at: point for point in users.active_by_day}
    return {
        "users": users,
        "user_numbers": numbers,
        "users_chart": line_chart(users.by_day, title=_("Users"), name="users"),
        "active_chart": line_chart(
            users.active_by_day, title=_("Seen in 7 days"), name="active-users"
        ),
        "users_by_day": [
            (point.label, f"{point.value:,.0f}", f"{active[point.at].value:,.0f}")
            for point in reversed(users.by_day)
        ],
    }


def _segments(segments: Segments) -> dict[str, Any]:
    return {
        "segments": segments,
        "segment_bars": [_segment(line) for line in segments.largest],
        "more_segments": max(0, segments.total - len(segments.largest)),
    }


def _segment(line: SegmentLine) -> SegmentBar:
    number = f"{line.at_least:,}"
    number = number if line.is_exact else _("at least %s") % number
    size = _("%(number)s, %(share).1f %%") % {"number": number, "share": line.share * 100}
    return SegmentBar(
        key=line.key,
        name=line.name,
        size=_("%s, changed since") % size if line.is_outdated else size,
        chart=bar(line.share),
        spark=sparkline([point.value for point in line.by_day]),
        trend=_trend(line.by_day),
    )


def _trend(by_day: Sequence[Point]) -> str:
    if len(by_day) < 2:
        return ""
    return _("%(change)+d in %(days)d days") % {
        "change": by_day[-1].value - by_day[0].value,
        "days": by_day[-1].at - by_day[0].at,
    }


def _answers(answers: Answers) -> dict[str, Any]:
    rate = answers.counted.hit_rate
    looked_up = sum(answers.counted.found.values())
    numbers = [
        Number(label=_("Evaluations today"), value=f"{answers.today:,}"),
        Number(label=_("In 7 days"), value=f"{answers.week:,}"),
        Number(
            label=_("Users found in the cache"),
            value=_("nobody was looked up")
            if rate is None
            else _("%(rate).1f %% of %(users)s") % {"rate": rate * 100, "users": f"{looked_up:,}"},
        ),
        Number(label=_("Degraded answers"), value=f"{answers.degraded:,}"),
    ]
    return {
        "answer_numbers": numbers,
        "cache_failed": answers.counted.failed,
        "answers_chart": line_chart(
            answers.by_day, title=_("Evaluations by day"), name="evaluations"
        ),
        "answers_by_day": [
            (point.label, f"{point.value:,.0f}") for point in reversed(answers.by_day)
        ],
        "outages": [
            _("%(server)s: %(times)s, %(seconds)s seconds")
            % {"server": each.server, "times": f"{each.times:,}", "seconds": f"{each.seconds:,}"}
            for each in answers.counted.outages
        ],
        "degradations": [
            (degradation_in_words(reason), f"{times:,}")
            for reason, times in sorted(answers.counted.degraded.items(), key=lambda each: -each[1])
        ],
    }
