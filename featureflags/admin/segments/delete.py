"""Deletes segments in the admin. One page shows who leaves and which flags target the segments,
and asks for the key where flags do. Django's own page would list each member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from featureflags.admin.shared.confirm import write
from featureflags.admin.shared.guarded_admin import GuardedModelAdmin
from featureflags.admin.shared.pages import MEMBER, may
from featureflags.editing import deletion_of, examine
from featureflags.models import Segment, SegmentMember, segment_graph


class DeletingSegmentAdmin(GuardedModelAdmin[Segment]):
    """Asks before segments are deleted."""

    def get_deleted_objects(
        self, objs: Sequence[Segment] | QuerySet[Segment], request: HttpRequest
    ) -> Any:
        """As Django's, with members as a number. Segments whose rules name one of these are
        protected."""
        keys = {segment.key for segment in objs}
        members = SegmentMember.objects.filter(segment__in=[each.pk for each in objs]).count()
        counts = {str(self.opts.verbose_name_plural): len(keys)}
        perms_needed = set()
        if members:
            counts[str(SegmentMember._meta.verbose_name_plural)] = members
            if not may(request, MEMBER, "delete"):
                perms_needed.add(str(SegmentMember._meta.verbose_name))
        protected = [
            _("The segment “%(key)s”, whose rules name “%(named)s”")
            % {"key": key, "named": "”, “".join(sorted(keys & names))}
            for key, names in sorted(segment_graph().items())
            if keys & names
        ]
        return sorted(keys), counts, perms_needed, protected

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's, but for the page that asks."""
        response = super().delete_view(request, object_id, extra_context)
        segment = _undecided(response, "object")
        return response if segment is None else self._ask_about(request, [segment], object_id)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's, but for the page that asks before the selected are deleted."""
        response = super().changelist_view(request, extra_context)
        segments = _undecided(response, "queryset")
        return response if segments is None else self._ask_about(request, segments)

    def _ask_about(
        self, request: HttpRequest, segments: Sequence[Segment], object_id: str | None = None
    ) -> HttpResponse:
        graph = segment_graph()
        examined = [examine(deletion_of(segment), graph=graph) for segment in segments]
        return self.ask(request, examined, object_id, deletes=True)

    def delete_model(self, request: HttpRequest, obj: Segment) -> None:
        """Raises NeedsConfirmation, and ProtectedError."""
        write(request, deletion_of(obj))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Segment]) -> None:
        """Raises NeedsConfirmation, and ProtectedError."""
        write(request, *map(deletion_of, queryset))


def _undecided(response: HttpResponse, name: str) -> Any:
    """What Django's page would ask about; None for another page, or if it is forbidden."""
    if not isinstance(response, TemplateResponse):
        return None
    context: dict[str, Any] = dict(response.context_data or {})
    if "deleted_objects" not in context and "deletable_objects" not in context:
        return None
    return None if context["protected"] or context["perms_lacking"] else context[name]
