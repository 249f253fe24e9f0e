"""Two groups to put staff into: who edits segments, and who only looks.

The permissions are Django's own. They are made here if they are not there yet: Django makes them
once all migrations have run. Groups of these names that are there already are added to.
"""

from __future__ import annotations

from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SEGMENT = ("featureflags", "segment", "segment")
MEMBER = ("featureflags", "segmentmember", "segment member")
USER = (*settings.AUTH_USER_MODEL.lower().split("."), "user")
"""App, model, and its name as Django puts it into the permission's."""

LOOKS = (("view", SEGMENT), ("view", MEMBER), ("view", USER))
EDITS = tuple((verb, model) for model in (SEGMENT, MEMBER) for verb in ("add", "change", "delete"))

GROUPS = {"segment viewer": LOOKS, "segment editor": LOOKS + EDITS}


def create(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    group = apps.get_model("auth", "Group")
    for name, wanted in GROUPS.items():
        permissions = [_permission(apps, verb, *model) for verb, model in wanted]
        group.objects.get_or_create(name=name)[0].permissions.add(*permissions)


def _permission(apps: Apps, verb: str, app: str, model: str, name: str) -> int:
    content_type, _created = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label=app, model=model
    )
    permission, _created = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type,
        codename=f"{verb}_{model}",
        defaults={"name": f"Can {verb} {name}"},
    )
    return permission.pk


class Migration(migrations.Migration):
    dependencies = [
        ("featureflags", "0008_flag_counts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
