"""Cache warm-ups in the admin: the progress of each, and the button that cancels one.

The pages are read only. To cancel a warm-up takes the permission to change it.

Hidden SQL: the list adds up the ranges of its runs in the query that reads them.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet, Sum
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from featureflags.admin.shared.guarded_admin import BaseModelAdmin
from featureflags.admin.shared.pages import Link, may_see, require, respond
from featureflags.editing import moment_in_words
from featureflags.models import WarmRange, WarmRun
from featureflags.warming.progress import Report, report
from featureflags.warming.runs import cancel

WARM_RUN = "featureflags.warmrun"
MAY_CANCEL = "featureflags.change_warmrun"
LIST = "admin:featureflags_warmrun_changelist"
RUN = "admin:featureflags_warmrun_change"
TEMPLATE = "admin/featureflags/warm_run.html"


@admin.register(WarmRun)
class WarmRunAdmin(BaseModelAdmin[WarmRun]):
    """Warm-ups, the newest first. The schedule and `warm_contexts` start them."""

    list_display = ("__str__", "scope_in_words", "state", "progress", "users", "rate", "started_at")
    list_filter = ("state",)
    ordering = ("-pk",)
    show_full_result_count = False

    class Media:
        css = {"all": ["featureflags/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(
        self,
        request: HttpRequest,
        obj: WarmRun | None = None,
    ) -> bool:
        """Old ones are deleted automatically."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[WarmRun]:
        """Runs with the sums of their ranges."""
        done = Count("ranges", filter=Q(ranges__state=WarmRange.State.DONE))
        read = Sum("ranges__users_read", default=0)
        return super().get_queryset(request).annotate(sum_done=done, sum_read=read)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.cancel_view)
        cancelling = path("<int:run>/cancel/", view, name="featureflags_warmrun_cancel")
        return [cancelling, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One warm-up, read only. With JavaScript the page updates itself."""
        require(request, WARM_RUN)
        row = self.get_object(request, object_id)
        if row is None:
            gone = _("This cache warm-up does not exist: old ones are deleted.")
            self.message_user(request, gone, messages.WARNING)
            return HttpResponseRedirect(reverse(LIST))
        now = report(row.pk)
        left = now.ranges - now.ranges_done
        return respond(
            request,
            self.admin_site,
            TEMPLATE,
            title=str(row),
            trail=[Link(text=_("Cache warm-ups"), href=reverse(LIST))],
            row=row,
            report=now,
            facts=[*numbers_of(now), *facts_of(row)],
            error=_(row.error) if row.error else "",
            unfinished=[(each, WarmRange.State(each.state).label) for each in now.unfinished],
            unlisted=left - len(now.unfinished),
            may_cancel=not now.ended and request.user.has_perm(MAY_CANCEL),
        )

    def cancel_view(self, request: HttpRequest, run: int) -> HttpResponse:
        """Cancel a warm-up, by POST only. The admin's log names the user."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not may_see(request, WARM_RUN) or not request.user.has_perm(MAY_CANCEL):
            raise PermissionDenied
        row = WarmRun.objects.filter(pk=run).first()
        if row is not None and cancel(run):
            self.log_change(request, row, "Cancelled.")
            self.message_user(request, _("The cache warm-up is cancelled."), messages.SUCCESS)
        else:
            self.message_user(request, _("It had ended already."), messages.WARNING)
        return HttpResponseRedirect(reverse(RUN, args=[run]))

    @admin.display(description=gettext_lazy("which rows"))
    def scope_in_words(self, run: WarmRun) -> str:
        return users_in_words(run)

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, run: WarmRun) -> str:
        """A bar for the ranges that are done, with their number."""
        done = getattr(run, "sum_done", 0)
        text = _("%(done)d of %(ranges)d ranges") % {"done": done, "ranges": run.ranges_planned}
        return format_html(
            '<progress max="{}" value="{}" aria-label="{}"></progress> {}',
            max(run.ranges_planned, 1),
            done if run.ranges_planned else 1,
            _("Progress of %s") % run,
            text,
        )

    @admin.display(description=gettext_lazy("rows"))
    def users(self, run: WarmRun) -> str:
        return f"{getattr(run, 'sum_read', 0):,}"

    @admin.display(description=gettext_lazy("rows a second"))
    def rate(self, run: WarmRun) -> str:
        seconds = ((run.finished_at or timezone.now()) - run.started_at).total_seconds()
        return f"{round(getattr(run, 'sum_read', 0) / max(seconds, 0.001)):,}"


def numbers_of(now: Report) -> list[tuple[str, str]]:
    """The progress, as label and text."""
    ranges = _("%(done)s of %(ranges)s done, %(running)s running, %(failed)s failed") % {
        "done": f"{now.ranges_done:,}",
        "ranges": f"{now.ranges:,}",
        "running": f"{now.ranges_running:,}",
        "failed": f"{now.ranges_failed:,}",
    }
    users = _("%(read)s of %(users)s read") % {"read": f"{now.read:,}", "users": f"{now.users:,}"}
    entries = _("%(written)s written, %(kept)s kept, %(failed)s failed") % {
        "written": f"{now.written:,}",
        "kept": f"{now.kept:,}",
        "failed": f"{now.failed:,}",
    }
    return [
        (_("Ranges"), ranges),
        (_("Rows"), users),
        (_("Entries"), entries),
        (_("Rate"), _("%s rows a second") % f"{now.rate:,}"),
        (_("Time"), _("%s seconds") % f"{now.seconds:,.0f}"),
    ]


def facts_of(run: WarmRun) -> list[tuple[str, str]]:
    """What does not change during a warm-up, as label and text."""
    facts = [
        (_("Which rows"), users_in_words(run)),
        (_("Started"), moment_in_words(run.started_at)),
    ]
    if run.finished_at:
        facts.append((_("Ended"), moment_in_words(run.finished_at)))
    if not run.spare:
        facts.append((_("Segments"), _("The cache did not accept them.")))
    return facts


def users_in_words(run: WarmRun) -> str:
    if run.days is None:
        text = _("Everybody")
    else:
        days = f"{run.days:g}"
        text = ngettext("Seen within %s day", "Seen within %s days", round(run.days)) % days
    return _("%s, all entries written") % text if run.force else text
