"""Checks of the attributes that a project declares: their SQL, their values, their clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import FieldError
from django.db.models import DateTimeField, F
from django.db.models.expressions import Combinable

from featureflags.contexts.attributes import Attribute, catalogue
from featureflags.contexts.json_limits import json_problem
from featureflags.core.types import JSONValue
from featureflags.kinds.registry import user_kind
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.values import parse_instant, parse_semver

NOW = 1_767_225_600_000_000
"""2026-01-01, in µs."""

HOLDS: dict[AttributeType, Callable[[JSONValue], bool]] = {
    AttributeType.STRING: lambda value: type(value) is str,
    AttributeType.NUMBER: lambda value: type(value) in {int, float},
    AttributeType.BOOLEAN: lambda value: type(value) is bool,
    AttributeType.DATETIME: lambda value: parse_instant(value) is not None,
    AttributeType.SEMVER: lambda value: parse_semver(value) is not None,
    AttributeType.LIST: lambda value: type(value) is list,
    AttributeType.OBJECT: lambda value: type(value) is dict,
    AttributeType.ANY: lambda _: True,
}
"""Whether a value that is not None has the type."""


@register("featureflags")
def check_attributes(**_: Any) -> list[CheckMessage]:
    """E022: the SQL of an attribute does not compile, or its function raises, or gives a value of
    another type than the attribute declares."""
    built_in = {attribute.name for attribute in user_kind().attributes}
    return [
        Error(
            f"The attribute {attribute.name!r} {why}.",
            hint="Until then the attribute may be missing from contexts, and its rules match nobody.",
            id="featureflags.E022",
        )
        for attribute in catalogue().values()
        if attribute.name not in built_in
        for why in [*_of_values(attribute), *_of_sql(attribute)]
    ]


def _of_values(attribute: Attribute) -> Iterable[str]:
    for snapshot in user_kind().samples(NOW):
        try:
            value = attribute.value(snapshot, NOW)
            if attribute.clock is not None and (clock := attribute.clock(snapshot)) is not None:
                clock.next_change(NOW)
        except Exception as error:  # noqa: BLE001 - a project's function may raise anything
            yield f"raises {type(error).__name__} for some users: {error}"
            return
        problem = json_problem(value)
        if problem is None and value is not None and not HOLDS[attribute.type](value):
            problem = f"has the type {attribute.type.value}, and its value is {value!r}"
        if problem is not None:
            yield problem
            return


def _of_sql(attribute: Attribute) -> Iterable[str]:
    try:
        if attribute.sql is not None:
            str(
                user_kind()
                .rows()
                .annotate(checked_value=attribute.sql)
                .values("checked_value")
                .query
            )
        related = attribute.sql_related
        if related is not None:
            str(related.model._default_manager.values(related.back, related.column).query)
    except Exception as error:  # noqa: BLE001 - an expression may raise anything
        yield f"has SQL that does not compile: {error}"
    since = attribute.elapsed_days_since
    if since is not None and not _is_instant(since):
        yield f"counts days since {since!r}, which is not a date and time of the user"


def _is_instant(since: str | Combinable) -> bool:
    expression = F(since) if isinstance(since, str) else since
    try:
        rows = user_kind().rows().annotate(checked_value=expression)
        return isinstance(rows.query.annotations["checked_value"].output_field, DateTimeField)
    except (FieldError, AttributeError):
        return False
