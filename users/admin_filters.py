"""Filters of the list of users: by segment and by `last_seen_at`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any, Final, cast

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from featureflags.kinds import segmentation
from users.models import User
from users.querysets import UserQuerySet

LINKS: Final = 20
"""Up to this many segments are shown as links, more of them as a drop-down."""
MOST_LISTED: Final = 200
"""Of more segments those are offered that fit what is typed."""


class SegmentFilter(admin.SimpleListFilter):
    """Users in a segment. Hidden without an app that provides segments, and from staff who may not
    view them."""

    title = _("segment")
    parameter_name = "segment"
    finder = ""
    """The address that finds segments, where they are too many for a list."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if len(self.lookup_choices) > LINKS:
            self.template = "admin/users/segment_filter.html"
        if len(self.lookup_choices) > MOST_LISTED:
            self.finder = segmentation.finder()

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        del model_admin
        return segmentation.choices(request.user, MOST_LISTED + 1)

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        del request
        segment = self.value()
        return cast("UserQuerySet[User]", queryset).in_segment(segment) if segment else queryset

    def choices(  # type: ignore[override]  # with more in each dictionary
        self, changelist: ChangeList
    ) -> Iterator[dict[str, Any]]:
        """As Django's, with the key that the drop-down sends, and the other parameters."""
        keys = ["", *(str(key) for key, _name in self.lookup_choices)]
        others = [
            (name, value)
            for name, values in changelist.filter_params.items()
            if name != self.parameter_name
            for value in values
        ]
        for key, choice in zip(keys, super().choices(changelist), strict=True):
            yield {**choice, "key": key, "others": others}


class LastSeenFilter(admin.SimpleListFilter):
    """When a user was last seen. Days begin at midnight in the site's time zone."""

    title = _("last seen")
    parameter_name = "seen"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, Any]]:
        del request, model_admin
        return [
            ("today", _("Today")),
            ("7", _("Past 7 days")),
            ("30", _("Past 30 days")),
            ("longer", _("Longer ago")),
            ("never", _("Never")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        del request
        wanted = self.value()
        if wanted == "never":
            return queryset.filter(last_seen_at__isnull=True)
        if wanted == "today":
            return queryset.filter(last_seen_at__gte=_midnight(0))
        if wanted in {"7", "30"}:
            return queryset.filter(last_seen_at__gte=_midnight(int(wanted)))
        if wanted == "longer":
            return queryset.filter(last_seen_at__lt=_midnight(30))
        return queryset


def _midnight(days_ago: int) -> datetime.datetime:
    day = timezone.localdate() - datetime.timedelta(days=days_ago)
    return timezone.make_aware(datetime.datetime.combine(day, datetime.time.min))
