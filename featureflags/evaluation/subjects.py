"""Who is behind a flag check: a user, the key of one, or a visitor."""

from __future__ import annotations

import msgspec
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError
from django.db.models import Model
from django.http import HttpRequest
from django.utils.functional import LazyObject

from featureflags.cache.protocol import report_database
from featureflags.cache.unit_of_work import current_unit
from featureflags.contexts.results import Degradation
from featureflags.core.requests import loaded_user, session_user_key
from featureflags.evaluation.arguments import Key, Subject, not_a_user, visitor_text
from featureflags.evaluation.visitors import (
    is_new_visitor,
    known_visitor_key,
    visitor_key,
)
from featureflags.kinds.registry import user_kind


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """A user, loaded or by key, or None for a visitor; with the visitor's key if it is known."""

    user: Model | Key | None
    visitor: str | None
    degraded: tuple[Degradation, ...] = ()
    is_new: bool = False
    """The key of the visitor was made in this request."""
    keep_row: bool = False
    """The user of a request: when the database is down, only the session says who it is. So the
    cache must have them, even if nobody has asked for them by key."""


def identify(subject: Subject, request: HttpRequest | None, anonymous_key: str | None) -> Who:
    """`subject`; without one, the user or visitor behind `request`; else a visitor of that key."""
    # DRF wraps the request; its memos and the visitor's cookie belong to Django's own.
    request = getattr(request, "_request", request)
    if request is None and _is_lazy(subject):
        request = _request_of(subject)
    if request is not None and (subject is None or _is_lazy(subject)):
        return _of_request(request)
    if subject is None or isinstance(subject, AnonymousUser):
        if request is not None:
            return _visitor(request)
        return Who(user=None, visitor=visitor_text(anonymous_key))
    if isinstance(subject, Model) and not isinstance(subject, user_kind().model):
        raise TypeError(not_a_user(subject))
    visitor = visitor_text(anonymous_key) if request is None else known_visitor_key(request)
    return Who(user=subject, visitor=visitor)


def _of_request(request: HttpRequest) -> Who:
    user = loaded_user(request)
    if user is None:
        try:
            user = request.user if request.user.is_authenticated else AnonymousUser()
        except DatabaseError as error:
            report_database(error)
            return _of_session(request)
    if isinstance(user, user_kind().model):
        return Who(user=user, visitor=known_visitor_key(request), keep_row=True)
    return _visitor(request)


def _visitor(request: HttpRequest, *degraded: Degradation) -> Who:
    key = visitor_key(request)
    return Who(user=None, visitor=key, degraded=degraded, is_new=is_new_visitor(request))


def _of_session(request: HttpRequest) -> Who:
    """The database is down: the user whom a session names that the cache still has."""
    try:
        key = session_user_key(request)
    except DatabaseError:
        return _visitor(request, Degradation.SESSION_UNAVAILABLE)
    if key is None or user_kind().key != "pk":
        # The session holds the primary key alone.
        return _visitor(request)
    return Who(user=key, visitor=known_visitor_key(request))


def _is_lazy(subject: object) -> bool:
    """Whether it is Django's `request.user`, which loads the user when it is looked at."""
    return issubclass(type(subject), LazyObject)


def _request_of(subject: object) -> HttpRequest | None:
    """The request of this unit, if `subject` is its lazy `request.user`."""
    unit = current_unit()
    if unit is None or unit.request is None:
        return None
    return unit.request if unit.request.__dict__.get("user") is subject else None
