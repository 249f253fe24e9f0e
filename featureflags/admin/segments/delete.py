"""How the admin deletes segments: one page says whom it moves and which flags target them, and
asks for the key where some do. Django's own would list each member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from featureflags.admin.segments.confirm import (
    NOTE,
    NeedsConfirmation,
    Question,
    confirmation_page,
    require_confirmation,
)
from featureflags.admin.shared.pages import change_link, segments_link
from featureflags.admin.shared.refusals import RefusingModelAdmin
from featureflags.editing.confirmation import Examination, examine
from featureflags.editing.member_lists import deletion_of
from featureflags.models import Segment, SegmentMember, segment_graph
from featureflags.models.changesets import segment_change

SOURCE: Final = "admin"
SURE: Final = {"post": "yes"}
"""What Django's own page sends once somebody is sure."""


class DeletingSegmentAdmin(RefusingModelAdmin[Segment]):
    """Asks before segments are deleted."""

    def get_deleted_objects(
        self, objs: Sequence[Segment] | QuerySet[Segment], request: HttpRequest
    ) -> Any:
        """What Django's page is told: members as a number, not each by name; segments whose rules
        name one of these stand among the protected."""
        keys = {segment.key for segment in objs}
        members = SegmentMember.objects.filter(segment__in=[each.pk for each in objs]).count()
        counts = {str(self.opts.verbose_name_plural): len(keys)}
        perms_needed = set()
        if members:
            counts[str(SegmentMember._meta.verbose_name_plural)] = members  # noqa: SLF001
            if not request.user.has_perm("featureflags.delete_segmentmember"):
                perms_needed.add(str(SegmentMember._meta.verbose_name))  # noqa: SLF001
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
        try:
            response = super().delete_view(request, object_id, extra_context)
        except NeedsConfirmation as asked:
            return self._ask(request, asked.examinations, object_id)
        segment = _undecided(response, "object")
        return response if segment is None else self._ask(request, [_gone(segment)], object_id)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's, but for the page that asks before the selected are deleted."""
        try:
            response = super().changelist_view(request, extra_context)
        except NeedsConfirmation as asked:
            return self._ask(request, asked.examinations)
        segments = _undecided(response, "queryset")
        return response if segments is None else self._ask(request, list(map(_gone, segments)))

    def delete_model(self, request: HttpRequest, obj: Segment) -> None:
        """Raises NeedsConfirmation, and ProtectedError."""
        self._delete(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Segment]) -> None:
        """Raises NeedsConfirmation, and ProtectedError."""
        self._delete(request, list(queryset))

    def _delete(self, request: HttpRequest, segments: Sequence[Segment]) -> None:
        examinations = [_gone(segment) for segment in segments]
        require_confirmation(request, examinations)
        moved = {each.key: each.moved for each in examinations}
        note = request.POST.get(NOTE, "")
        with segment_change(note=note, source=SOURCE, moved=moved):
            for segment in segments:
                segment.delete()

    def _ask(
        self, request: HttpRequest, examinations: Sequence[Examination], object_id: str = ""
    ) -> HttpResponse:
        keys = ", ".join(each.key for each in examinations)
        trail = [segments_link()]
        back = trail[0].href
        if object_id:
            trail.append(change_link(object_id, keys))
            back = trail[1].href
        question = Question(
            examinations=examinations,
            title=_("Delete %s?") % keys,
            trail=trail,
            carried={} if "post" in request.POST else SURE,
            back=back,
            verb=_("Delete"),
        )
        return confirmation_page(request, self.admin_site, question)


def _gone(segment: Segment) -> Examination:
    """What becomes of users and flags when the segment is deleted."""
    return examine(segment.pk, deletion_of(segment))


def _undecided(response: HttpResponse, name: str) -> Any:
    """What Django's page would ask about; None for another page, or if it is forbidden."""
    if not isinstance(response, TemplateResponse):
        return None
    context: dict[str, Any] = dict(response.context_data or {})
    if "deleted_objects" not in context and "deletable_objects" not in context:
        return None
    return None if context["protected"] or context["perms_lacking"] else context[name]
