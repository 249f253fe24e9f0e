"""Segments in the admin: rules as JSON text, validated by the model, told in words in the list."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import Count, JSONField, QuerySet, TextField
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from featureflags.admin.history.views import segment_changes
from featureflags.admin.rule_editor.field import RulesField
from featureflags.admin.rule_editor.readonly import rules_told
from featureflags.admin.segments.columns import SizeColumns
from featureflags.admin.segments.delete import DeletingSegmentAdmin
from featureflags.admin.segments.named_members_panel import ByNameAdmin, list_address
from featureflags.admin.segments.save import GuardedSegmentAdmin
from featureflags.admin.segments.used_by_flags import told_with_ways
from featureflags.admin.urls import page_urls
from featureflags.core.uncached import fresh_rows
from featureflags.editing.sentences import condition_in_words
from featureflags.models import Segment
from featureflags.models.validation import find_warnings
from featureflags.segments.parsing import load_rules

RULES_IN_LIST = 3
"""How many rules the list tells in words, before it only counts the others."""

PRECEDENCE = gettext_lazy(
    "A user is in the segment if all conditions of any rule hold. Who is included by name is in,"
    " and who is excluded by name is out, whatever the rules say; included beats excluded."
)


@admin.register(Segment)
class SegmentAdmin(SizeColumns, ByNameAdmin, GuardedSegmentAdmin, DeletingSegmentAdmin):
    """Segments. The key is fixed once LaunchDarkly's rules may name it."""

    formfield_overrides = {
        JSONField: {"form_class": RulesField},
        TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})},
    }
    list_display = (
        "key_and_name",
        "is_active",
        "size_in_words",
        "flags",
        "member_count",
        "in_words",
    )
    list_select_related = ("size",)
    list_filter = ("is_active",)
    search_fields = ("key", "name", "description")
    ordering = ("key",)
    readonly_fields = ("rules_told", "used_by_flags", "version", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("key", "name", "description", "is_active")}),
        (gettext_lazy("Rules"), {"fields": ("rules",), "description": PRECEDENCE}),
        (gettext_lazy("Flags"), {"fields": ("used_by_flags",)}),
        (gettext_lazy("History"), {"fields": ("version", "created_at", "updated_at")}),
    )
    add_fieldsets = fieldsets[:2]

    class Media:
        css = {
            "all": [
                "featureflags/charts.css",
                "featureflags/admin.css",
                "featureflags/rule_editor/rules.css",
            ]
        }

    def get_urls(self) -> list[URLPattern]:
        """The segment pages, and those that have no model of their own."""
        return [*page_urls(self.admin_site), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Segment]:
        """Segments with the number of their members, in the query that reads them."""
        return super().get_queryset(request).annotate(members_counted=Count("members"))

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Segment | None:
        """As Django's, never from cachalot: what a form shows is what it saves."""
        with fresh_rows():
            return super().get_object(request, object_id, from_field)

    def get_fieldsets(self, request: HttpRequest, obj: Segment | None = None) -> Any:
        """Rules as sentences for whoever may not change them."""
        given: Any = self.add_fieldsets if obj is None else super().get_fieldsets(request, obj)
        if obj is not None and not self.has_change_permission(request, obj):
            told = {"fields": ("rules_told",), "description": PRECEDENCE}
            given = [(name, told if "rules" in each["fields"] else each) for name, each in given]
        return self.with_note(request, given)

    def get_readonly_fields(self, request: HttpRequest, obj: Segment | None = None) -> Any:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None else ("key", *fixed)

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """The segment's own history rather than Django's, which knows no rules and no members."""
        segment = self.get_object(request, unquote(object_id))
        if segment is None:
            return super().history_view(request, object_id)
        return segment_changes(request, segment.key, site=self.admin_site)

    def response_add(
        self, request: HttpRequest, obj: Segment, post_url_continue: str | None = None
    ) -> HttpResponse:
        self._warn(request, obj)
        return super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Segment) -> HttpResponse:
        self._warn(request, obj)
        return super().response_change(request, obj)

    @admin.display(description=gettext_lazy("rules"))
    def rules_told(self, segment: Segment) -> str:
        """The rules as sentences, and the preview."""
        return rules_told(segment)

    @admin.display(description=gettext_lazy("used by"))
    def used_by_flags(self, segment: Segment) -> str:
        """Which flags target the segment, and on which way. LaunchDarkly is told nothing."""
        return told_with_ways(segment.key)

    @admin.display(description=gettext_lazy("segment"), ordering="key")
    def key_and_name(self, segment: Segment) -> SafeString:
        """Both in one column: the rules need the room."""
        return format_html('{}<span class="under">{}</span>', segment.key, segment.name)

    @admin.display(description=gettext_lazy("rules"))
    def in_words(self, segment: Segment) -> str:
        """What the rules say, shortened."""
        return rules_in_words(segment.rules)

    @admin.display(description=gettext_lazy("by name"), ordering="members_counted")
    def member_count(self, segment: Segment) -> str:
        """How many memberships there are, as a link to them."""
        count = getattr(segment, "members_counted", 0)
        return format_html('<a href="{}">{}</a>', list_address(segment), count)

    def _warn(self, request: HttpRequest, segment: Segment) -> None:
        for problem in find_warnings(segment.rules):
            self.message_user(request, str(problem), messages.WARNING)


def rules_in_words(raw_rules: object) -> str:
    """The first rules as sentences; a broken rule says that it matches nobody. Never raises."""
    rules, problems = load_rules(raw_rules)
    if not rules:
        return _("Broken: %s") % problems[0] if problems else _("No rules")
    told = [
        _(" and ").join(condition_in_words(clause) for clause in rule.clauses)
        or _("(a broken rule)")
        for rule in rules[:RULES_IN_LIST]
    ]
    text = _("; or ").join(told)
    more = len(rules) - len(told)
    if more:
        text += " " + ngettext("(and %d more rule)", "(and %d more rules)", more) % more
    return text
