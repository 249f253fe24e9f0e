"""How the list of segments is narrowed down: the parameters of `GET /segments/`."""

from __future__ import annotations

import datetime
from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from featureflags.api.filters import MomentFilter, TrueOrFalseFilter, WordsFilter
from featureflags.editing import segments_with, unused_segments
from featureflags.editing.history import changed_since
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment

ME = "me"


class SegmentSearchFilter(WordsFilter):
    """The search of the admin: key, name and description, and inside the rules."""

    search_description = (
        "Each of these words in the key, the name or the description, or all of the text inside the rules:"
        " in a value, a description, or the label of an attribute. Quotes keep words together."
    )

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        del view
        text = request.query_params.get(self.search_param, "")
        has_words = bool(self.get_search_terms(request))
        return queryset.filter(segments_with(text, queryset.db)) if has_words else queryset


class SegmentFilter(filters.FilterSet):  # type: ignore[misc]  # it has no types
    """Archived segments are left out unless `is_archived` is sent; see `SegmentViewSet.get_queryset`."""

    is_active = TrueOrFalseFilter()
    is_archived = TrueOrFalseFilter(
        label="`true`: only archived ones; `false`, and without it: only the others."
    )
    tag = filters.CharFilter(method="with_tag", label="With this tag.")
    owner = filters.CharFilter(method="of_owner", label="The id of a user, or `me`.")
    changed_since = MomentFilter(
        method="are_changed", label="It or its members changed at this instant or later."
    )
    empty = TrueOrFalseFilter(
        method="are_empty", label="`true`: nobody was in it when it was last counted."
    )
    unused = TrueOrFalseFilter(
        method="are_unused", label="`true`: no flag uses it, itself or through other segments."
    )

    class Meta:
        model = Segment
        fields = ["is_active", "kind"]

    def with_tag(self, found: QuerySet[Any], _name: str, tag: str) -> QuerySet[Any]:
        return found.filter(pk__in=Segment.objects.tagged(tag).values("pk"))

    def of_owner(self, found: QuerySet[Any], name: str, owner: str) -> QuerySet[Any]:
        key = self.request.user.pk if owner == ME else user_kind().parse_key(owner)
        if key is None:
            raise ValidationError({name: ["Send the id of a user, or me."]})
        return found.filter(owner=key)

    def are_changed(
        self, found: QuerySet[Any], _name: str, moment: datetime.datetime
    ) -> QuerySet[Any]:
        return found.filter(key__in=changed_since(moment))

    def are_empty(self, found: QuerySet[Any], _name: str, empty: bool) -> QuerySet[Any]:
        return found.filter(size__at_most=0) if empty else found.exclude(size__at_most=0)

    def are_unused(self, found: QuerySet[Any], name: str, unused: bool) -> QuerySet[Any]:
        keys = unused_segments()
        if keys is None:
            raise ValidationError({name: ["LaunchDarkly has not sent any flags."]})
        return found.filter(key__in=keys) if unused else found.exclude(key__in=keys)
