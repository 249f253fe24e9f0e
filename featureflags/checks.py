"""System checks of this app. Their ids never change meaning; each docstring says what it is for."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

from django.conf import settings
from django.core.checks import (
    CheckMessage,
    Error,
    Tags,
    Warning,  # noqa: A004 - Django's name
    register,
)
from django.core.exceptions import FieldDoesNotExist, FieldError, ImproperlyConfigured
from django.db import connections

from featureflags.audience.sql.bounds import to_q
from featureflags.audience.sql.compiler import SegmentCompiler
from featureflags.contexts.attributes import catalogue
from featureflags.contexts.building import json_problem
from featureflags.contexts.privacy import sends_segments, useless_names
from featureflags.core.conf import app_settings
from featureflags.flags.code_search import closest, project_uses
from featureflags.flags.declared import Flag, FlagType, declared_flags
from featureflags.flags.overrides import FORCE_PREFIX, environment_name, read_forced
from featureflags.launchdarkly.rest.configuration import missing_variables
from featureflags.models import KEY, Segment, segment_graph
from featureflags.models.validation import find_problems
from featureflags.segments.definitions import Problem, SegmentDefinition
from featureflags.segments.parsing import load_rules
from featureflags.segments.ruleset import Ruleset
from users.models import User

MIDDLEWARE = "featureflags.middleware.FeatureFlagsMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
HTTP_SCHEMES = ("http://", "https://")
UNREADABLE = (ImproperlyConfigured, ImportError, TypeError)
"""What a list raises that cannot be imported, or holds what it should not."""


@register("featureflags")
def check_declarations(**_: Any) -> list[CheckMessage]:
    """E001: FLAGS cannot be read. E002: a declared flag is not in order. E003: ATTRIBUTES."""
    messages: list[CheckMessage] = []
    try:
        for flag in declared_flags().values():
            messages += [Error(why, id="featureflags.E002") for why in _flag_problems(flag)]
    except UNREADABLE as error:
        messages.append(
            Error(
                f"The declared flags cannot be read: {error}",
                hint='FEATUREFLAGS["FLAGS"] is the dotted path to a list of featureflags.flags.Flag.',
                id="featureflags.E001",
            )
        )
    try:
        catalogue()
    except UNREADABLE as error:
        messages.append(
            Error(f"The project's attributes cannot be read: {error}", id="featureflags.E003")
        )
    return messages


def _flag_problems(flag: Flag) -> Iterable[str]:
    if not KEY.match(flag.key):
        yield (
            f"The flag {flag.key!r} has a key that LaunchDarkly refuses: use letters, digits, "
            "dots, dashes and underscores."
        )
    if not flag.description.strip():
        yield f"The flag {flag.key!r} has no description."
    if not flag.owner.strip():
        yield f"The flag {flag.key!r} has no owner."
    why = json_problem(flag.default)
    if why is not None:
        yield f"The default of the flag {flag.key!r} {why}."


@register("featureflags")
def check_forced_flags(**_: Any) -> list[CheckMessage]:
    """W004: a FORCE_FLAG_ variable is neither true nor false. W005: it forces nothing declared."""
    forced, unreadable = read_forced(os.environ)
    messages: list[CheckMessage] = [
        Warning(f"{name} is neither true nor false: it forces nothing.", id="featureflags.W004")
        for name in unreadable
    ]
    known = {environment_name(key): flag for key, flag in _declared().items()}
    for name in sorted(forced):
        flag = known.get(name)
        if flag is None:
            why = "there is no declared flag of that name."
        elif flag.type is not FlagType.BOOLEAN:
            why = f"the flag {flag.key!r} is no boolean, but a {flag.type.value}."
        else:
            continue
        messages.append(Warning(f"{FORCE_PREFIX}{name}: {why}", id="featureflags.W005"))
    return messages


@register("featureflags")
def check_used_flags(**_: Any) -> list[CheckMessage]:
    """E006: code or a template asks for a flag that is one slip away from a declared one.
    W007: it asks for one that is not declared."""
    declared = _declared()
    if not declared:
        return []
    messages: list[CheckMessage] = []
    for use in project_uses():
        if use.key in declared:
            continue
        meant = closest(use.key, declared)
        if meant is not None:
            text = f"{use}: there is no flag {use.key!r}. Did you mean {meant!r}?"
            messages.append(Error(text, id="featureflags.E006"))
        else:
            text = f"{use}: the flag {use.key!r} is not declared in {app_settings().flags}."
            messages.append(Warning(text, id="featureflags.W007"))
    return messages


@register("featureflags")
def check_middleware(**_: Any) -> list[CheckMessage]:
    """W008: without the middleware no visitor keeps a key. E009: it stands before the users."""
    installed = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in installed:
        return [
            Warning(
                f"{MIDDLEWARE} is not installed, so visitors get no key of their own and each "
                "flag check of a request reads the cache anew.",
                hint=f"Add it to MIDDLEWARE, after {AUTHENTICATION}.",
                id="featureflags.W008",
            )
        ]
    if AUTHENTICATION in installed[installed.index(MIDDLEWARE) :]:
        return [
            Error(
                f"{MIDDLEWARE} stands before {AUTHENTICATION}, which knows the user.",
                hint="Move it below.",
                id="featureflags.E009",
            )
        ]
    return []


@register("featureflags")
def check_sent_attributes(**_: Any) -> list[CheckMessage]:
    """W012: LAUNCHDARKLY_ATTRIBUTES names what does not exist or is withheld. W013: it leaves out
    `segments`."""
    try:
        useless = useless_names()
    except UNREADABLE:
        return []  # E003 tells
    messages: list[CheckMessage] = [
        Warning(f"LAUNCHDARKLY_ATTRIBUTES: {name!r} {why}.", id="featureflags.W012")
        for name, why in useless.items()
    ]
    if not sends_segments():
        messages.append(
            Warning(
                "LAUNCHDARKLY_ATTRIBUTES leaves out segments: no rule in LaunchDarkly can target one.",
                hint="Add segments to the list.",
                id="featureflags.W013",
            )
        )
    return messages


@register("featureflags")
def check_syncing(**_: Any) -> list[CheckMessage]:
    """W014: SYNC_SEGMENTS is on, and what its calls need is not set: each save only logs that."""
    given = app_settings()
    if not given.sync_segments:
        return []
    missing = missing_variables(project=given.project, environment=given.environment)
    if not missing:
        return []
    return [
        Warning(
            "LAUNCHDARKLY_SYNC_SEGMENTS is on, but no segment can be written to LaunchDarkly. "
            f"Not set: {', '.join(missing)}.",
            hint="Set them, or switch it off.",
            id="featureflags.W014",
        )
    ]


@register("featureflags")
def check_addresses(**_: Any) -> list[CheckMessage]:
    """E015: an address cannot be right, and what it is for would not work. It is not shown: it may
    hold a password.
    """
    given = app_settings()
    wanted = {
        "SPARE_URL": (given.spare_url, REDIS_SCHEMES),
        "DAEMON_URL": (given.daemon_url, REDIS_SCHEMES),
        "BASE_URI": (given.base_uri, HTTP_SCHEMES),
        "STREAM_URI": (given.stream_uri, HTTP_SCHEMES),
        "EVENTS_URI": (given.events_uri, HTTP_SCHEMES),
    }
    return [
        Error(
            f"FEATUREFLAGS[{name!r}] (LAUNCHDARKLY_{name}) is no address.",
            hint=f"It begins with {' or '.join(schemes)}.",
            id="featureflags.E015",
        )
        for name, (address, schemes) in wanted.items()
        if address and not address.startswith(schemes)
    ]


@register("featureflags", Tags.caches)
def check_cache(**_: Any) -> list[CheckMessage]:
    """E010: the cache that snapshots belong into does not exist."""
    alias = app_settings().cache
    if alias in settings.CACHES:
        return []
    known = ", ".join(sorted(settings.CACHES))
    return [
        Error(
            f'FEATUREFLAGS["CACHE"] names the cache {alias!r}, which CACHES does not have.',
            hint=f"There are: {known}.",
            id="featureflags.E010",
        )
    ]


@register("featureflags", Tags.database)
def check_segments(databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E011: a stored segment no longer validates, after the catalogue or the user model changed
    or a write past us.

    Only with `manage.py check --database default`: two queries.
    """
    messages: list[CheckMessage] = []
    for alias in databases or ():
        if Segment._meta.db_table in connections[alias].introspection.table_names():  # noqa: SLF001
            messages += _broken_segments(alias)
    return messages


_NO_MATCH = "Until it is mended, nobody is in it by that rule."
_NO_SQL = "Until it is mended, querysets and counts of its members raise an error."


def _broken_segments(alias: str) -> Iterable[CheckMessage]:
    graph = segment_graph()
    for key, rules in Segment.objects.using(alias).values_list("key", "rules"):
        others = {name: names for name, names in graph.items() if name != key}
        for problem in find_problems(key, rules, others) or _without_columns(key, rules):
            yield Error(
                f"The segment {key!r} no longer validates. {problem}",
                hint=_NO_SQL if problem.code == "sql" else _NO_MATCH,
                id="featureflags.E011",
            )


def _without_columns(key: str, raw_rules: object) -> list[Problem]:
    """Conditions on attributes whose SQL names what the user model does not have (any more)."""
    ruleset = Ruleset([SegmentDefinition(key=key, rules=load_rules(raw_rules)[0])])
    segment = ruleset.segment(key)
    compiler = SegmentCompiler(ruleset, now=0)
    problems = []
    for number, rule in enumerate(segment.rules if segment is not None else (), start=1):
        for position, clause in enumerate(rule.clauses, start=1):
            try:
                bounds = compiler.clause(clause)
                User.objects.filter(to_q(bounds.lower)).filter(to_q(bounds.upper))
            except (FieldDoesNotExist, FieldError) as error:
                message = f"the SQL of {clause.clause.attribute!r} does not fit the model: {error}"
                problems.append(Problem(code="sql", message=message, rule=number, clause=position))
    return problems


def _declared() -> dict[str, Flag]:
    """The declared flags; none where E001 tells that they cannot be read."""
    try:
        return dict(declared_flags())
    except UNREADABLE:
        return {}
