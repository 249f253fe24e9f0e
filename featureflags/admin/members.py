"""Members of segments in the admin: who is in or out, why, and until when."""

from __future__ import annotations

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext_lazy

from featureflags.admin.refusals import RefusingModelAdmin
from featureflags.models import SegmentMember


@admin.register(SegmentMember)
class SegmentMemberAdmin(RefusingModelAdmin[SegmentMember]):
    """Memberships. Segment and user are looked up as they are typed: there may be millions."""

    autocomplete_fields = ("segment", "user")
    fields = ("segment", "user", "kind", "reason", "expires_at")
    list_display = ("user", "segment", "kind", "reason", "expires_at", "in_force")
    list_filter = ("kind", ("segment", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("segment", "user")
    search_fields = ("user__email", "user__name", "segment__key")
    search_help_text = gettext_lazy("E-mail or name of the user, or key of the segment.")
    ordering = ("segment__key", "user__email")
    show_full_result_count = False

    @admin.display(description=gettext_lazy("in force"), boolean=True)
    def in_force(self, member: SegmentMember) -> bool:
        """Whether the membership has not ended yet."""
        return member.expires_at is None or member.expires_at > timezone.now()
