"""The outbox in the place of pending invalidations; its triggers go with it."""

from __future__ import annotations

import django.db.models.functions.datetime
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from featureflags.capture import installation


def remove_triggers(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Without the outbox every write to a watched table would fail."""
    installation.remove(editor.connection)


class Migration(migrations.Migration):
    dependencies = [("featureflags", "0010_warm_runs_by_workers")]

    operations = [
        migrations.CreateModel(
            name="OutboxEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=100)),
                ("keys", models.JSONField(null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={"verbose_name": "outbox event"},
        ),
        migrations.RunPython(migrations.RunPython.noop, remove_triggers),
    ]
