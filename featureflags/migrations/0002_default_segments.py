"""The segments that a project starts with, as far as its kind `user` has their attributes.

All of them can be edited afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from featureflags.core.conf import app_settings
from featureflags.kinds.attribute import Attribute
from featureflags.kinds.registry import user_kind

SegmentRow: TypeAlias = tuple[str, str, str, list[dict[str, Any]]]


def clause(attribute: str, op: str, *values: object, negate: bool = False) -> dict[str, Any]:
    return {"attribute": attribute, "op": op, "values": list(values), "negate": negate}


SEGMENTS: tuple[SegmentRow, ...] = (
    ("admin", "Administrators", "The role is admin.", [clause("role", "in", "admin")]),
    ("user", "Users", "The role is user.", [clause("role", "in", "user")]),
    ("system", "System accounts", "The role is system.", [clause("role", "in", "system")]),
    (
        "new_user",
        "New users",
        "The account is less than 7 days old.",
        [clause("account_age_days", "lessThan", 7)],
    ),
    (
        "recent_user",
        "Recent users",
        "The account is 7 to 30 days old, both included.",
        [
            clause("account_age_days", "greaterThanOrEqual", 7),
            clause("account_age_days", "lessThanOrEqual", 30),
        ],
    ),
    (
        "established_user",
        "Established users",
        "The account is more than 30 days old.",
        [clause("account_age_days", "greaterThan", 30)],
    ),
)


def employees(domains: Sequence[str]) -> Iterator[SegmentRow]:
    """The segment of the company's own people, where the settings name its domains."""
    if domains:
        yield (
            "employee",
            "Employees",
            "A verified e-mail address of the company. Change the domain here to change the company.",
            [clause("email_domain", "in", *domains), clause("email_verified", "in", True)],
        )


def create(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("featureflags", "RulesetVersion").objects.get_or_create(pk=1)
    segment = apps.get_model("featureflags", "Segment")
    known = {attribute.name: attribute for attribute in user_kind().attributes}
    for key, name, description, clauses in (*SEGMENTS, *employees(app_settings().employee_domains)):
        if not all(_fits(known.get(each["attribute"]), each["values"]) for each in clauses):
            continue
        rules = [{"id": key, "description": "", "clauses": clauses}]
        defaults = {"name": name, "description": description, "rules": rules}
        segment.objects.get_or_create(key=key, defaults=defaults)


def _fits(attribute: Attribute | None, values: Sequence[object]) -> bool:
    """Whether there is such an attribute, and it may have these values."""
    if attribute is None:
        return False
    choices = {value for value, _ in attribute.choices}
    return not choices or choices >= set(values)


class Migration(migrations.Migration):
    dependencies = [("featureflags", "0001_initial")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
