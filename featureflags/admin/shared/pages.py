"""What the pages beside Django's own share: who may see them, and how they are put together."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from users.models import User
from users.selectors import find_user

SEGMENT = "featureflags.segment"
USER = "users.user"
"""What a page shows, as `app.model`: to see it takes Django's permission to view or to change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A text that leads somewhere. Without a `href` it is the page itself."""

    text: str
    href: str = ""


def may_see(request: HttpRequest, *models: str) -> bool:
    """Whether whoever asks may view all of these (`app.model`)."""
    return all(
        any(request.user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change"))
        for app, name in (model.split(".") for model in models)
    )


def require(request: HttpRequest, *models: str) -> None:
    """Raises PermissionDenied unless whoever asks may view all of these (`app.model`)."""
    if not may_see(request, *models):
        raise PermissionDenied


def user_or_404(key: uuid.UUID | str) -> User:
    """The user of this key, or of this address; raises Http404."""
    user = find_user(str(key))
    if user is None:
        raise Http404(_("There is no user with this key."))
    return user


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
    """The page. `trail` are the breadcrumbs between the admin's index and the page itself."""
    request.current_app = site.name
    page = {**site.each_context(request), "title": title, "trail": trail, **context}
    return render(request, template, page, status=status)


def segments_link() -> Link:
    return Link(text=_("Segments"), href=reverse("admin:featureflags_segment_changelist"))


def change_link(pk: int | str, key: str) -> Link:
    """To the page on which a segment is changed."""
    return Link(text=key, href=reverse("admin:featureflags_segment_change", args=[pk]))


def users_link() -> Link:
    return Link(text=_("Users"), href=reverse("admin:users_user_changelist"))


def user_link(user: User) -> Link:
    """To the page of a user's segments and flags."""
    return Link(
        text=user.get_full_name(), href=reverse("admin:featureflags_usercontext", args=[user.pk])
    )
