"""Keys travel as text, so that rows of any key type can be counted and warmed."""

from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def end(apps: StateApps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Counts and warm-ups under way name keys in another form: they end here."""
    for name in ("FlagCount", "WarmRun"):
        model = apps.get_model("featureflags", name)
        model._default_manager.filter(state="running").update(state="cancelled")


def forget_versions(apps: StateApps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """On the way back: the version was a number, which no text of today is."""
    apps.get_model("featureflags", "WarmRun")._default_manager.update(snapshot_version="0")


class Migration(migrations.Migration):
    dependencies = [("featureflags", "0015_api_keys")]

    operations = [
        migrations.RunPython(end, migrations.RunPython.noop),
        migrations.RemoveField("flagcount", "last_key"),
        migrations.AddField(
            "flagcount", "last_key", models.CharField(blank=True, default="", max_length=255)
        ),
        migrations.RemoveField("warmrange", "first"),
        migrations.AddField(
            "warmrange",
            "first",
            models.CharField(blank=True, default="", max_length=255, verbose_name="from key"),
        ),
        migrations.RemoveField("warmrange", "until"),
        migrations.AddField(
            "warmrange",
            "until",
            models.CharField(blank=True, default="", max_length=255, verbose_name="to before key"),
        ),
        migrations.AlterField(
            "warmrun",
            "snapshot_version",
            models.CharField(max_length=8, verbose_name="version of the snapshots"),
        ),
        migrations.RunPython(migrations.RunPython.noop, forget_versions),
    ]
