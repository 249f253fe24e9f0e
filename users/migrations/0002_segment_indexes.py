"""Indexes for the usual segment rules: the e-mail domain, and metadata on PostgreSQL."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import featureflags.kinds.functions
from featureflags.core.index_operations import AddIndexWhileInUse, drop_if_invalid


def create_metadata_index(_apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """For `metadata @> …`, which a condition `is any of` on a text or boolean compiles to."""
    if schema_editor.connection.vendor == "postgresql":
        drop_if_invalid(schema_editor, "user_metadata")
        schema_editor.execute(
            "CREATE INDEX CONCURRENTLY user_metadata"
            " ON users_user USING gin (metadata jsonb_path_ops)"
        )


def drop_metadata_index(_apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS user_metadata")


class Migration(migrations.Migration):
    # Nobody waits while an index is built.
    atomic = False
    dependencies = [
        ("users", "0001_initial"),
    ]

    operations = [
        AddIndexWhileInUse(
            model_name="user",
            index=models.Index(
                featureflags.kinds.functions.EmailDomain("email"), name="user_email_domain"
            ),
        ),
        migrations.RunPython(create_metadata_index, drop_metadata_index),
    ]
