"""Django REST framework's tokens go: they lay in clear in their table, and in the admin's log.

API keys take their place (`featureflags.models.api_keys`). A project that has added the app
`rest_framework.authtoken` by itself keeps its table; the log loses the tokens all the same.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps as apps_of_today
from django.db import migrations
from django.db.migrations.recorder import MigrationRecorder

APP = "authtoken"
TABLE = "authtoken_token"
GONE = "token"


def drop(apps: Any, schema_editor: Any) -> None:
    connection = schema_editor.connection
    alias = connection.alias
    entries = apps.get_model("admin", "LogEntry").objects.using(alias)
    # A token's text was the token itself, and its primary key too.
    entries.filter(content_type__app_label=APP).update(object_repr=GONE, object_id=None)
    if apps_of_today.is_installed("rest_framework.authtoken"):
        return
    if TABLE in connection.introspection.table_names():
        schema_editor.execute(f"DROP TABLE {schema_editor.quote_name(TABLE)}")
        MigrationRecorder(connection).migration_qs.filter(app=APP).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0002_segment_indexes"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(drop, migrations.RunPython.noop, elidable=True)]
