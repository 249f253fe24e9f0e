"""The home page: what different people see, side by side, and what you see.

It also answers without a database, from the session and the caches, and says that it is degraded. So
it never reads `request.user` by itself: the facade does, and handles what that may raise.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config.demo import DEMO_PEOPLE, DemoPerson
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.deadlines import for_flag_checks
from featureflags.core.monitoring import report
from featureflags.core.requests import loaded_user
from featureflags.evaluation import all_flags, looking
from featureflags.evaluation.reasons import degradation_in_words
from featureflags.evaluation.resolve import resolve
from featureflags.flags.declared import declared_flags
from featureflags.live.tickets import stream_path
from featureflags.segments.formatting import show
from users.models import User

logger = logging.getLogger(__name__)

SHOWN = ("email", "email_verified", "role", "account_age_days", "anonymous")
"""The attributes that a card shows, beside those of the metadata. Demo people have no secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class You:
    """The visitor or user who reads the page."""

    card: SafeString
    is_logged_in: bool
    is_staff: bool


@for_flag_checks
@require_safe
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    """The page at `/`. No event is sent for the people of the demo, nor when the page renews itself."""
    if "again" in request.GET:
        with looking():
            return _home(request)
    return _home(request)


def _home(request: HttpRequest) -> HttpResponse:
    found = resolve(None, request=request)
    people = _demo_users()
    with looking():
        cards = [_visitor_card(), *_people_cards(people or {})]
        degraded = _degradations(request)
    page = {
        "you": _you(request, found),
        "cards": cards,
        "events": _events(found, people or {}),
        "degraded": [degradation_in_words(reason) for reason in degraded],
        "are_people_unknown": people is None,
        "are_people_missing": people is not None and len(people) < len(_shown_people()),
    }
    return render(request, "home/index.html", page)


def _events(found: SubjectContext, people: dict[str, User]) -> str | None:
    """The stream that says when somebody on the page, or a flag or segment, has changed."""
    key = found.context.key
    keys = [] if found.context.anonymous else [key]
    return stream_path(who=key, keys=[*keys, *(str(person.pk) for person in people.values())])


@require_safe
def favicon(_request: HttpRequest) -> HttpResponse:
    """Where browsers look for an icon on pages that name none: the admin, errors, the API."""
    return HttpResponseRedirect(static("featureflags/guidon.svg"))


def _shown_people() -> list[DemoPerson]:
    return [person for person in DEMO_PEOPLE if person.is_shown]


def _demo_users() -> dict[str, User] | None:
    """The users of the demo by e-mail, in one query. None if the database does not answer."""
    emails = [person.email for person in _shown_people()]
    try:
        users = list(User.objects.with_group_names().filter(email__in=emails))
    except DatabaseError as error:
        name = type(error).__name__
        report(logger, "demo_unavailable", "The people of the demo are unreadable: %s", name)
        return None
    return {user.email: user for user in users}


def _visitor_card() -> SafeString:
    texts = {"title": _("Visitor"), "description": _("Somebody who is not logged in.")}
    return _card("visitor", None, resolve(None), texts)


def _people_cards(users: dict[str, User]) -> Iterable[SafeString]:
    for number, person in enumerate(_shown_people(), start=1):
        user = users.get(person.email)
        if user is not None:
            texts = {"title": person.title, "description": person.description}
            yield _card(f"person-{number}", user, resolve(user), texts)


def _you(request: HttpRequest, found: SubjectContext) -> You:
    user = loaded_user(request)
    is_logged_in = found.source is not ContextSource.VISITOR
    if isinstance(user, User):
        title, description = user.get_full_name(), _("You are logged in.")
    elif is_logged_in:
        title = _("You, by your session")
        description = _("You are logged in; your account could not be read just now.")
    else:
        title, description = _("You, a visitor"), _("You are not logged in.")
    texts = {"title": title, "description": description}
    return You(
        card=_card("you", request.user, found, texts),
        is_logged_in=is_logged_in,
        is_staff=isinstance(user, User) and user.is_staff,
    )


def _card(
    identity: str, person: User | AnonymousUser | None, found: SubjectContext, texts: dict[str, str]
) -> SafeString:
    """The card of `person`, who may be the lazy `request.user`: only the facade looks at it."""
    values = {
        **texts,
        "id": identity,
        "person": person,
        "flags": declared_flags().values(),
        "segments": found.segments,
        "attributes": _summary(found),
    }
    return render_to_string("home/card.html", values)


def _summary(found: SubjectContext) -> list[tuple[str, str]]:
    """The attributes worth a line: a text as it is, everything else as JSON."""
    context = found.context.to_dict()
    names = [name for name in SHOWN if name in context]
    names += sorted(name for name in context if name.startswith("custom_"))
    return [
        (name, value if isinstance(value, str) else show(value))
        for name in names
        for value in [context[name]]
    ]


def _degradations(request: HttpRequest) -> list[Degradation]:
    """Why what you see may not be right, each reason once, in the order of their meaning."""
    evaluations = all_flags(request=request).values()
    found = {reason for evaluation in evaluations for reason in evaluation.degraded}
    return [reason for reason in Degradation if reason in found]
