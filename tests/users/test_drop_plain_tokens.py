"""The tokens of Django REST framework are gone: from their table, and from the admin's log."""

from __future__ import annotations

import importlib

import pytest
from django.apps import apps
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from tests.factories import UserFactory

drop = importlib.import_module("users.migrations.0003_drop_plain_tokens").drop
TABLE = "authtoken_token"


@pytest.mark.django_db(transaction=True)
def test_they_are_dropped() -> None:
    user = UserFactory.create(staff=True)
    tokens = ContentType.objects.create(app_label="authtoken", model="tokenproxy")
    users = ContentType.objects.get_for_model(type(user))
    for content_type, text in ((tokens, "0123456789abcdef"), (users, "kept")):
        LogEntry.objects.create(
            user=user,
            content_type=content_type,
            object_id=text,
            object_repr=text,
            action_flag=ADDITION,
            change_message="[]",
        )
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} (key varchar(40))")
    MigrationRecorder(connection).record_applied("authtoken", "0001_initial")

    with connection.schema_editor() as editor:
        drop(apps, editor)

    assert TABLE not in connection.introspection.table_names()
    assert set(LogEntry.objects.values_list("object_repr", "object_id")) == {
        ("token", None),
        ("kept", "kept"),
    }
    assert not MigrationRecorder(connection).migration_qs.filter(app="authtoken").exists()
    # A second time there is nothing to do.
    with connection.schema_editor() as editor:
        drop(apps, editor)
    tokens.delete()
