"""Segments in the admin: a form with the rule editor, and a list with the rules in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import Count, JSONField, QuerySet, TextField
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from featureflags.admin.history.views import segment_changes
from featureflags.admin.members.panel import add_member_panel
from featureflags.admin.rule_editor.field import STYLES, RulesField
from featureflags.admin.rule_editor.readonly import readonly_rules
from featureflags.admin.segments.actions import OrganisingActions
from featureflags.admin.segments.columns import (
    SegmentChangeList,
    flags,
    in_words,
    key_and_name,
    member_count,
    size_in_words,
)
from featureflags.admin.segments.delete import DeletingSegmentAdmin
from featureflags.admin.segments.filters import FILTERS
from featureflags.admin.segments.owners import owner_in_short, tags_in_words
from featureflags.admin.segments.save import SavingSegmentAdmin, chosen_kind
from featureflags.admin.segments.used_by_flags import used_by_in_words
from featureflags.admin.shared.pages import may_see, model_of, respond, segments_link
from featureflags.admin.urls import page_urls
from featureflags.core.input_gate import MOST_WORDS
from featureflags.core.uncached import fresh_rows
from featureflags.editing import (
    SEARCH_FIELDS,
    asks_for_approval,
    open_warnings,
    segments_with,
    waiting_for,
)
from featureflags.kinds.registry import kind_or_user, kinds
from featureflags.models import Segment

SHEETS = [f"featureflags/{name}.css" for name in ("charts", "admin", "why", "sets")]

SHOWN = {"tags": "shown_tags", "owner": "shown_owner"}
"""What stands for a field where it is only shown: Django would show an address."""

PRECEDENCE = gettext_lazy(
    "Everybody who meets all conditions of any rule is in the segment. Those who are included by name are in,"
    " and those who are excluded by name are out, whatever the rules say; included beats excluded."
)

DRAWN_BY = gettext_lazy(
    "The key of the segment and its salt decide who is in a percentage. With another salt it is about as many, but"
    " others: some leave and some enter. The preview counts them. Change it only where you want that."
)


@admin.register(Segment)
class SegmentAdmin(SavingSegmentAdmin, DeletingSegmentAdmin, OrganisingActions):
    """Segments. The key is fixed once it is saved, as LaunchDarkly's rules may name it."""

    formfield_overrides = {
        JSONField: {"form_class": RulesField},
        TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})},
    }
    list_display = (key_and_name, "is_active", size_in_words, flags, member_count, in_words)
    list_select_related = ("size", "owner")
    list_filter = FILTERS
    search_fields = SEARCH_FIELDS
    ordering = ("key",)
    readonly_fields = (
        *("rules_as_sentences", "used_by_flags", "version", "created_at", "updated_at"),
        *("shown_tags", "shown_owner"),
    )
    fieldsets = (
        (None, {"fields": ("name", "key", "description", "is_active", "tags", "owner")}),
        (gettext_lazy("Rules"), {"fields": ("rules",), "description": PRECEDENCE}),
        (
            gettext_lazy("Percentages (advanced)"),
            {
                "fields": ("salt",),
                "description": DRAWN_BY,
                "classes": ("collapse", "rule-percentages"),
            },
        ),
        (gettext_lazy("Flags"), {"fields": ("used_by_flags",)}),
        (gettext_lazy("History"), {"fields": ("version", "created_at", "updated_at")}),
    )
    add_fieldsets = fieldsets[:3]

    class Media:
        css = {"all": [*SHEETS, *STYLES]}

    def get_urls(self) -> list[URLPattern]:
        """The segment pages, and the pages without a model of their own."""
        return [*page_urls(self.admin_site), *super().get_urls()]

    def get_changelist(
        self,
        request: HttpRequest,
        **_kwargs: object,
    ) -> type[ChangeList]:
        return SegmentChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Segment]:
        """Segments with the number of their members, in the query that reads them."""
        return super().get_queryset(request).annotate(members_counted=Count("members"))

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Segment | None:
        """As Django's, never from cachalot: a form shows what it saves."""
        with fresh_rows():
            return super().get_object(request, object_id, from_field)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's. Where several kinds are declared, one is chosen first."""
        if chosen_kind(request) is None and self.has_add_permission(request):
            return respond(
                request,
                self.admin_site,
                "admin/featureflags/segments/choose_kind.html",
                title=_("Add segment"),
                trail=[segments_link()],
                kinds=kinds(),
            )
        return super().add_view(request, form_url, extra_context)

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return shown if len(kinds()) == 1 else (shown[0], "kind", *shown[1:])

    def get_list_filter(self, request: HttpRequest) -> Any:
        found = super().get_list_filter(request)
        return found if len(kinds()) == 1 else ("kind", *found)

    def get_fieldsets(self, request: HttpRequest, obj: Segment | None = None) -> Any:
        """Rules as sentences for users who may not change them."""
        given: Any = self.add_fieldsets if obj is None else super().get_fieldsets(request, obj)
        if len(kinds()) > 1:
            about = {**given[0][1], "fields": ("kind", *given[0][1]["fields"])}
            given = [(given[0][0], about), *given[1:]]
        if obj is not None and not self.has_change_permission(request, obj):
            readonly = {"fields": ("rules_as_sentences",), "description": PRECEDENCE}
            draws = any(rule.weight is not None for rule in obj.stored_rules().checked.rules)
            given = given if draws else [each for each in given if "salt" not in each[1]["fields"]]
            given = [
                (name, readonly if "rules" in each["fields"] else _as_shown(each))
                for name, each in given
            ]
        return self.with_note(request, given)

    def get_prepopulated_fields(
        self, request: HttpRequest, obj: Segment | None = None
    ) -> dict[str, Sequence[str]]:
        """The key of a new segment is proposed from its name."""
        del request
        return {"key": ("name",)} if obj is None else {}

    def get_readonly_fields(self, request: HttpRequest, obj: Segment | None = None) -> Any:
        fixed = ("kind", *super().get_readonly_fields(request, obj))
        return fixed if obj is None else ("key", *fixed)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Segment | None = None,
    ) -> HttpResponse:
        """As Django's, with the panel of the members by name, and the changes that wait."""
        add_member_panel(request, context, obj)
        if obj is not None:
            context["warnings"] = open_warnings(obj)
            context["may_accept"] = self.has_change_permission(request, obj)
            context["waiting"] = waiting_for(obj.key)
            context["asks_for_approval"] = asks_for_approval(obj.key)
            context["sees_rows"] = may_see(request, model_of(kind_or_user(obj.kind)))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Our history of the segment; Django's knows no rules and no members."""
        segment = self.get_object(request, unquote(object_id))
        if segment is None:
            return super().history_view(request, object_id)
        return segment_changes(request, segment.key, site=self.admin_site)

    @admin.display(description=gettext_lazy("rules"))
    def rules_as_sentences(self, segment: Segment) -> str:
        """The rules as sentences, and the preview."""
        return readonly_rules(segment)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Segment], search_term: str
    ) -> tuple[QuerySet[Segment], bool]:
        """The segments that `search` of the API finds, inside their rules too."""
        if not 0 < len(search_term.split()) <= MOST_WORDS:
            return super().get_search_results(request, queryset, search_term)
        # The list counts members, so that a condition of its own would be asked of each group.
        found = Segment.objects.filter(segments_with(search_term, queryset.db))
        return queryset.filter(pk__in=found.values("pk")), False

    @admin.display(description=gettext_lazy("tags"))
    def shown_tags(self, segment: Segment) -> str:
        return tags_in_words(segment)

    @admin.display(description=gettext_lazy("owner"))
    def shown_owner(self, segment: Segment) -> str:
        return owner_in_short(segment)

    @admin.display(description=gettext_lazy("used by"))
    def used_by_flags(self, segment: Segment) -> str:
        """The flags that target the segment, and in which way. No events are sent."""
        return used_by_in_words(segment.key)


def _as_shown(fieldset: dict[str, Any]) -> dict[str, Any]:
    return {**fieldset, "fields": tuple(SHOWN.get(name, name) for name in fieldset["fields"])}
