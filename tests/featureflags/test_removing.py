"""`migrate featureflags zero` leaves the database as it was before the app came."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection

from featureflags.capture import installation
from featureflags.models import Segment, SegmentMember
from featureflags.models.flag_counts import FlagCount
from tests.factories import SegmentFactory, UserFactory
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

LEFT = {
    "postgresql": """
        SELECT 'table ' || relname FROM pg_class
        WHERE relkind IN ('r', 'S', 'i', 'v') AND relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'function ' || proname FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT 'type ' || typname FROM pg_type
        WHERE typnamespace = 'public'::regnamespace
    """,
    "sqlite": "SELECT type || ' ' || name FROM sqlite_master",
}


def of_ours() -> set[str]:
    """Everything in the database that has our name on it, or our triggers'."""
    with connection.cursor() as cursor:
        cursor.execute(LEFT[connection.vendor])
        names = {name for (name,) in cursor.fetchall()}
    return {name for name in names if "featureflags" in name or "guidon" in name}


@pytest.fixture
def migrated_again() -> Any:
    yield
    call_command("migrate", verbosity=0)


def test_nothing_is_left(migrated_again: None) -> None:
    user = UserFactory.create(is_staff=True)
    SegmentFactory.create(key="beta")
    Group.objects.get_or_create(name="segment editor")[0].user_set.add(user)
    own = Group.objects.create(name="our own")
    own.permissions.add(Permission.objects.get(codename="view_segment"))
    own.permissions.add(Permission.objects.get(codename="view_user"))
    # What a table held later need not fit into the columns that it had before.
    call_command("warm_contexts", "--all", verbosity=0)
    SegmentFactory.create(key="firms")
    with connection.cursor() as cursor:
        # Of a kind that this project does not have.
        cursor.execute("UPDATE featureflags_segment SET kind = 'organization' WHERE key = 'firms'")
    firms = Segment.objects.get(key="firms")
    SegmentMember.objects.bulk_create([SegmentMember(segment=firms, key="acme")])
    FlagCount.objects.create(flag="x", is_sample=False, users_planned=1, last_key="acme")
    assert of_ours()
    assert installation.problems(connection) == []

    call_command("migrate", "featureflags", "zero", verbosity=0)

    assert of_ours() == set()
    assert not ContentType.objects.filter(app_label="featureflags").exists()
    assert not Permission.objects.filter(content_type__app_label="featureflags").exists()
    assert not Group.objects.filter(name__startswith="segment ").exists()
    assert [each.codename for each in own.permissions.all()] == ["view_user"]
    assert User.objects.get(pk=user.pk).is_staff
    User.objects.filter(pk=user.pk).update(is_staff=False)


def test_a_group_that_may_do_more_stays_and_all_comes_back_whole(migrated_again: None) -> None:
    group = Group.objects.get_or_create(name="segment viewer")[0]
    group.permissions.add(Permission.objects.get(codename="delete_user"))
    before = of_ours()

    call_command("migrate", "featureflags", "zero", verbosity=0)
    assert [each.codename for each in group.permissions.all() if "delete" in each.codename]

    call_command("migrate", verbosity=0)
    assert of_ours() == before
    assert installation.problems(connection) == []
    assert apps.get_model("featureflags", "Segment").objects.exists()
