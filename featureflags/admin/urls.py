"""The addresses of the pages beside Django's own. `SegmentAdmin` includes them below its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote, unquote
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, register_converter
from django.urls.converters import StringConverter

from featureflags.admin.drafts.keep import keep_draft
from featureflags.admin.drafts.page import draft_page, draft_people
from featureflags.admin.drafts.trial import try_person
from featureflags.admin.flag_previews import choose_flags
from featureflags.admin.flags.detail import count_users, flag_page
from featureflags.admin.flags.list import flag_list
from featureflags.admin.history.compare import compare_changes
from featureflags.admin.history.views import deleted_segments, restore_change, segment_changes
from featureflags.admin.installations import installation, installations
from featureflags.admin.members.bulk_upload import import_members
from featureflags.admin.members.list import export_by_name, segment_by_name
from featureflags.admin.proposals import proposal, proposals
from featureflags.admin.rule_editor.preview import lint, preview
from featureflags.admin.rule_editor.try_expression import try_expression
from featureflags.admin.segments.audience import export_segment_members, segment_members
from featureflags.admin.segments.more import more
from featureflags.admin.segments.overlap import compare_segments, compared_people
from featureflags.admin.segments.warnings import accept
from featureflags.admin.shared.segment_finder import segments_found
from featureflags.admin.shared.session import session
from featureflags.admin.users.context_page import context_page
from featureflags.admin.why.views import why_flag, why_search, why_segment


class RowKey(StringConverter):
    """The key of a row, which may be any text: written as Django's own admin writes keys in addresses."""

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: object) -> str:
        return str(quote(str(value)))


register_converter(RowKey, "row")

PAGES: tuple[tuple[str, Callable[..., HttpResponseBase], str], ...] = (
    ("by-name/<str:segment>/", segment_by_name, "segment_by_name"),
    ("by-name/<str:segment>/import/", import_members, "segment_by_name_import"),
    ("by-name/<str:segment>/export/", export_by_name, "segment_by_name_export"),
    ("history/<str:segment>/", segment_changes, "segment_changes"),
    ("history/<str:segment>/compare/", compare_changes, "segment_compare"),
    ("deleted/", deleted_segments, "deleted_segments"),
    ("proposals/", proposals, "proposals"),
    ("proposals/<int:plan>/", proposal, "proposal"),
    ("restore/<int:change>/", restore_change, "segment_restore"),
    ("flags/", flag_list, "flags"),
    # A flag file may hold keys with a slash.
    ("flags/<path:flag>/count/", count_users, "flag_count"),
    ("flags/<path:flag>/", flag_page, "flag"),
    ("members/<str:segment>/", segment_members, "segment_members"),
    ("members/<str:segment>/export/", export_segment_members, "segment_export"),
    ("installations/", installations, "installations"),
    ("installations/<str:name>/", installation, "installation"),
    ("overlap/", compare_segments, "segment_overlap"),
    ("overlap/people/", compared_people, "segment_overlap_people"),
    ("draft/", keep_draft, "draft_keep"),
    ("draft/<str:token>/", draft_page, "draft"),
    ("draft/<str:token>/people/", draft_people, "draft_people"),
    ("more/<str:segment>/", more, "segment_more"),
    ("user-context/<row:key>/", context_page, "usercontext"),
    ("context/<str:kind>/<row:key>/", context_page, "rowcontext"),
    ("lint/", lint, "lint"),
    ("preview/", preview, "preview"),
    ("preview/person/", try_person, "preview_person"),
    ("try-expression/", try_expression, "try_expression"),
    ("rule-warnings/<str:segment>/", accept, "segment_accept"),
    ("found/", segments_found, "segments_found"),
    ("session/", session, "session"),
    ("testing/", choose_flags, "testing"),
    ("why/", why_search, "why"),
    ("why/segment/<str:segment>/<row:key>/", why_segment, "why_segment"),
    ("why/flag/<path:flag>/<row:key>/", why_flag, "why_flag"),
    ("why/flag-for/<str:kind>/<path:flag>/<row:key>/", why_flag, "why_flag_for"),
)
"""Address, view, and what follows `featureflags_` in its name."""


def page_urls(site: AdminSite) -> list[URLPattern]:
    """For staff only; each view checks the permissions that it needs."""
    return [
        path(address, site.admin_view(partial(view, site=site)), name=f"featureflags_{name}")
        for address, view, name in PAGES
    ]
