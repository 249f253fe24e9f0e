"""The segments that every project starts with. All of them can be edited afterwards."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def clause(attribute: str, op: str, *values: object, negate: bool = False) -> dict[str, object]:
    return {"attribute": attribute, "op": op, "values": list(values), "negate": negate}


SEGMENTS = (
    ("admin", "Administrators", "The role is admin.", [clause("role", "in", "admin")]),
    ("user", "Users", "The role is user.", [clause("role", "in", "user")]),
    ("system", "System accounts", "The role is system.", [clause("role", "in", "system")]),
    (
        "employee",
        "Employees",
        "A verified e-mail address of the company. Change the domain here to change the company.",
        [clause("email_domain", "in", "agpt.co"), clause("email_verified", "in", True)],
    ),
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


def create(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("featureflags", "RulesetVersion").objects.get_or_create(pk=1)
    segment = apps.get_model("featureflags", "Segment")
    for key, name, description, clauses in SEGMENTS:
        rules = [{"id": key, "description": "", "clauses": clauses}]
        defaults = {"name": name, "description": description, "rules": rules}
        segment.objects.get_or_create(key=key, defaults=defaults)


class Migration(migrations.Migration):
    dependencies = [("featureflags", "0001_initial")]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
