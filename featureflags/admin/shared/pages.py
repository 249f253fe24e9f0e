"""What all pages beside Django's own share: permissions, links, breadcrumbs, and the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from featureflags.core.types import Account
from featureflags.core.uncached import fresh_rows
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER as USER_KIND
from featureflags.kinds.registry import kind_named, kinds, user_kind
from featureflags.models import Segment

SEGMENT: Final = "featureflags.segment"
MEMBER: Final = "featureflags.segmentmember"
USER: Final = settings.AUTH_USER_MODEL.lower()
"""Models, as `app.model`, that permissions are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A text that leads somewhere. Without a `href` it is the page itself."""

    text: str
    href: str = ""


def may(request: HttpRequest, model: str, *verbs: str) -> bool:
    """True if the user has all of these permissions (`add`, `change`, `delete`, `view`)."""
    app, name = model.split(".")
    return request.user.has_perms([f"{app}.{verb}_{name}" for verb in verbs])


def may_see(request: HttpRequest, *models: str) -> bool:
    """True if the user may view or change each of these models."""
    return all(may(request, model, "view") or may(request, model, "change") for model in models)


def kinds_seen(request: HttpRequest) -> frozenset[str]:
    """The kinds whose rows the user may see by title."""
    return frozenset(kind.name for kind in kinds() if may_see(request, model_of(kind)))


def require(request: HttpRequest, *models: str) -> None:
    """Raises PermissionDenied unless the user may view or change each of these models."""
    if not may_see(request, *models):
        raise PermissionDenied


def require_to(request: HttpRequest, model: str, *verbs: str) -> None:
    """Raises PermissionDenied unless the user has all of these permissions."""
    if not may(request, model, *verbs):
        raise PermissionDenied


def user_of(request: HttpRequest) -> Account:
    """The user who makes the request. Raises PermissionDenied if nobody is logged in."""
    if not isinstance(request.user, AbstractBaseUser):
        raise PermissionDenied
    return request.user


def model_of(kind: CompiledKind) -> str:
    """The model of a kind, as `app.model`, that permissions are asked for."""
    return str(kind.model._meta.label_lower)


def row_or_404(kind: CompiledKind, key: str) -> Any:
    """The row of this kind with this key or title. Raises Http404."""
    row = kind.find(key)
    if row is None:
        raise Http404(_("There is no %s with this key.") % kind.name)
    return row


def row_page(kind: CompiledKind, key: str) -> str:
    """The address of the page of a row: its segments and flags."""
    if kind.name == USER_KIND:
        return reverse("admin:featureflags_usercontext", args=[key])
    return reverse("admin:featureflags_rowcontext", args=[kind.name, key])


def why_segment_page(segment: str, key: str) -> str:
    """The address of the page that explains why a row of the segment's kind is in it, or not."""
    return reverse("admin:featureflags_why_segment", args=[segment, key])


def why_flag_page(kind: CompiledKind, flag: str, key: str) -> str:
    """The address of the page that explains the value of a flag for a row."""
    if kind.name == USER_KIND:
        return reverse("admin:featureflags_why_flag", args=[flag, key])
    return reverse("admin:featureflags_why_flag_for", args=[kind.name, flag, key])


def kind_or_404(name: str) -> CompiledKind:
    """The kind of this name. Raises Http404."""
    kind = kind_named(name)
    if kind is None:
        raise Http404(_("There is no kind of this name."))
    return kind


def segment_or_404(key: str) -> Segment:
    """The segment as it is in the database now. Raises Http404."""
    with fresh_rows():
        return get_object_or_404(Segment, key=key)


def respond(
    request: HttpRequest,
    site: AdminSite,
    template: str,
    *,
    title: str,
    trail: Sequence[Link] = (),
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    """The page. `trail`: the breadcrumbs between the admin's index and the page."""
    request.current_app = site.name
    shown = {"title": title, "trail": trail, "kind": user_kind(), **context}
    page = {**site.each_context(request), **shown}
    return render(request, template, page, status=status)


def log_change(request: HttpRequest, segment_pk: int, text: str, flag: int = CHANGE) -> None:
    """Write to the admin's log. `text` must not name users."""
    LogEntry.objects.log_actions(
        user_of(request).pk,
        Segment.objects.filter(pk=segment_pk),
        flag,
        change_message=text,
        single_object=True,
    )


def segments_link() -> Link:
    return Link(text=_("Segments"), href=reverse("admin:featureflags_segment_changelist"))


def change_link(pk: int | str, key: str) -> Link:
    """To the page on which a segment is changed."""
    return Link(text=key, href=reverse("admin:featureflags_segment_change", args=[pk]))


def segment_trail(segment: Segment) -> list[Link]:
    return [segments_link(), change_link(segment.pk, segment.key)]


def rows_link(kind: CompiledKind) -> Link:
    """To the project's own list of the rows of a kind, if the admin has one."""
    text = _("Users") if kind.name == USER_KIND else capfirst(kind.plural)
    return Link(text=text, href=_of_model(kind, "changelist"))


def row_link(kind: CompiledKind, row: Any) -> Link:
    """To the page of a row's segments and flags."""
    return Link(text=heading_of(row, kind).name, href=row_page(kind, kind.key_of(row)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """Whom, or what, a page is about."""

    key: str
    title: str
    name: str


def heading_of(row: Any, kind: CompiledKind | None = None) -> Heading:
    """Of a user, or of the row of another kind."""
    kind = kind or user_kind()
    title = kind.title_of_row(row)
    return Heading(key=kind.key_of(row), title=title, name=kind.label_of_row(row) or title)


def change_row_link(kind: CompiledKind, row: Any) -> Link:
    """To the project's own page on which a row is changed, if the admin has one."""
    return Link(text=kind.title_of_row(row), href=_of_model(kind, "change", quote(row.pk)))


def _of_model(kind: CompiledKind, page: str, *args: object) -> str:
    """The address of a page of the kind's model in the admin; empty where it has none."""
    try:
        return reverse(f"admin:{model_of(kind).replace('.', '_')}_{page}", args=args)
    except NoReverseMatch:
        return ""
