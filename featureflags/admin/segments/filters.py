"""How the list of segments is narrowed down: archive, use, size, age, owner and tags."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any, Final

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.editing import unused_segments
from featureflags.editing.history import changed_since
from featureflags.models import Segment

Choices = list[tuple[str, Any]]


class ArchiveFilter(SimpleListFilter):
    """Archived segments are left out unless they are asked for."""

    title = gettext_lazy("archive")
    parameter_name = "archived"

    def lookups(self, _request: HttpRequest, _model_admin: ModelAdmin[Any]) -> Choices:
        return [("yes", gettext_lazy("Archived")), ("any", gettext_lazy("All"))]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """As Django's. Without a choice the list has what is not archived."""
        first, *others = super().choices(changelist)
        yield {**first, "display": _("Not archived")}
        yield from others

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "any":
            return queryset
        return queryset.filter(is_archived=self.value() == "yes")


class UseFilter(SimpleListFilter):
    """Segments that no flag uses. It is not offered while no flags are known."""

    title = gettext_lazy("use")
    parameter_name = "use"

    def lookups(self, _request: HttpRequest, _model_admin: ModelAdmin[Any]) -> Choices:
        self.unused = unused_segments()
        return [] if self.unused is None else [("unused", gettext_lazy("Unused by flags"))]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "unused":
            return queryset
        return queryset.filter(key__in=self.unused or ())


class SizeFilter(SimpleListFilter):
    """Segments that were empty when they were last counted."""

    title = gettext_lazy("size")
    parameter_name = "size"

    def lookups(self, _request: HttpRequest, _model_admin: ModelAdmin[Any]) -> Choices:
        return [("empty", gettext_lazy("Empty"))]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(size__at_most=0) if self.value() == "empty" else queryset


class ChangedFilter(SimpleListFilter):
    """Segments whose row or members changed lately."""

    title = gettext_lazy("changed")
    parameter_name = "changed"

    def lookups(self, _request: HttpRequest, _model_admin: ModelAdmin[Any]) -> Choices:
        return [
            ("1", gettext_lazy("In the last 24 hours")),
            ("7", gettext_lazy("In the last 7 days")),
            ("30", gettext_lazy("In the last 30 days")),
        ]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        days = self.value()
        if days not in {"1", "7", "30"}:
            return queryset
        since = timezone.now() - datetime.timedelta(days=int(days or 0))
        return queryset.filter(key__in=changed_since(since))


class OwnerFilter(SimpleListFilter):
    """One's own segments, and those of nobody."""

    title = gettext_lazy("owner")
    parameter_name = "owned"

    def lookups(self, _request: HttpRequest, _model_admin: ModelAdmin[Any]) -> Choices:
        return [("mine", gettext_lazy("Mine")), ("nobody", gettext_lazy("Nobody"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "mine":
            return queryset.filter(owner=request.user.pk)
        return queryset.filter(owner=None) if self.value() == "nobody" else queryset


class TagFilter(SimpleListFilter):
    """Segments with a tag."""

    title = gettext_lazy("tag")
    parameter_name = "tag"

    def lookups(self, _request: HttpRequest, _model_admin: ModelAdmin[Any]) -> Choices:
        lists = Segment.objects.exclude(tags=[]).order_by().values_list("tags", flat=True)
        return [(tag, tag) for tag in sorted({tag for tags in lists for tag in tags})]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        tag = self.value()
        return queryset if tag is None else queryset.filter(pk__in=Segment.objects.tagged(tag))


FILTERS: Final = (
    *("is_active", ArchiveFilter, UseFilter, SizeFilter),
    *(ChangedFilter, OwnerFilter, TagFilter),
)
