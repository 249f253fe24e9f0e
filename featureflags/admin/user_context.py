"""The page that shows a user as LaunchDarkly sees them. It only looks: no event goes out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from featureflags.contexts import UserContext
from featureflags.evaluation import all_flags, looking
from featureflags.flags import declared_flags
from featureflags.inspection.deciding import decision
from featureflags.inspection.reading import Raw
from featureflags.launchdarkly.client import feature_store
from featureflags.reasons import degradation_in_words, reason_in_words, source_in_words
from featureflags.resolving import resolve
from featureflags.results import Evaluation
from featureflags.segments.showing import show
from users.forms import pretty_json
from users.models import User
from users.selectors import find_user
from users.times import to_datetime

TEMPLATE = "admin/featureflags/user_context.html"
NOT_ATTRIBUTES = frozenset({"kind", "_meta"})
"""Parts of a context that no rule tests as an attribute of the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRow:
    """One attribute, its value as JSON."""

    name: str
    value: str
    is_private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRow:
    """One flag, its value as JSON, and everything else in words."""

    key: str
    description: str
    value: str
    reason: str
    rule: str
    """The conditions of the rule that decided, in words; empty where none did."""
    degraded: tuple[str, ...]


def user_context_view(request: HttpRequest, key: uuid.UUID, *, site: AdminSite) -> HttpResponse:
    """The context, segments and flags of one user. Asks for `users.view_user`."""
    if not any(request.user.has_perm(f"users.{verb}_user") for verb in ("view", "change")):
        raise PermissionDenied
    user = find_user(str(key))
    if user is None:
        raise Http404(_("There is no user with this key."))
    with looking():
        found = resolve(user)
        flags = all_flags(user)
        raw = feature_store().raw()["flags"]
    page = {
        **site.each_context(request),
        **_shown(found),
        "title": _("LaunchDarkly context"),
        "subtitle": str(user),
        "person": user,
        "opts": User._meta,  # noqa: SLF001 - Django's documented API
        "flags": [_flag_row(each, raw, found.segments) for each in flags.values()],
    }
    request.current_app = site.name
    return render(request, TEMPLATE, page)


def attribute_rows(context: dict[str, Any]) -> list[AttributeRow]:
    """The attributes of a context (as its dictionary), sorted by name."""
    private = set(context.get("_meta", {}).get("privateAttributes", ()))
    return [
        AttributeRow(name=name, value=show(value), is_private=name in private)
        for name, value in sorted(context.items())
        if name not in NOT_ATTRIBUTES
    ]


def _shown(found: UserContext) -> dict[str, Any]:
    context = found.context.to_dict()
    return {
        "attributes": attribute_rows(context),
        "context_json": pretty_json(context),
        "segments": found.segments,
        "withheld": found.withheld,
        "source": source_in_words(found.source),
        "degraded": [degradation_in_words(reason) for reason in found.degraded],
        "valid_until": None if found.valid_until is None else to_datetime(found.valid_until),
    }


def _flag_row(evaluation: Evaluation, raw: Mapping[str, Raw], segments: tuple[str, ...]) -> FlagRow:
    declared = declared_flags().get(evaluation.flag)
    flag = raw.get(evaluation.flag, {})
    decided = decision(evaluation.flag, flag, evaluation.reason, segments)
    return FlagRow(
        key=evaluation.flag,
        description=_("Not declared in this project.") if not declared else declared.description,
        value=show(evaluation.value),
        reason=reason_in_words(evaluation),
        rule="" if decided is None else decided.words,
        degraded=tuple(degradation_in_words(reason) for reason in evaluation.degraded),
    )
