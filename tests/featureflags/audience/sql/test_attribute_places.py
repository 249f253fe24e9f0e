"""An attribute says the same in Python and in SQL: each of the catalogue, for a user who has it."""

from __future__ import annotations

import datetime

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from featureflags.contexts.attributes import Attribute
from featureflags.core.times import to_microseconds
from featureflags.kinds.registry import user_kind
from featureflags.segments.parsing import parse_definition
from tests.factories import UserFactory
from users.models import User


@pytest.mark.django_db
@pytest.mark.parametrize("attribute", user_kind().attributes, ids=lambda attribute: attribute.name)
def test_memory_and_sql_agree(attribute: Attribute) -> None:
    now = timezone.now()
    user = UserFactory.create(
        email="ada@agpt.co",
        name="Ada",
        role="admin",
        email_verified=True,
        is_staff=True,
        last_seen_at=now - datetime.timedelta(days=3, hours=1),
        created_at=now - datetime.timedelta(days=10, hours=1),
    )
    UserFactory.create(
        name="Augusta", email_verified=False, created_at=now - datetime.timedelta(days=4)
    )
    user.groups.add(Group.objects.create(name="Editors"))
    value = attribute.value(
        user_kind().snapshot_of(User.objects.get(pk=user.pk)), to_microseconds(now)
    )
    one = value[0] if isinstance(value, list) else value
    clause = {"attribute": attribute.name, "op": "in", "values": [one]}
    if attribute.type == "datetime":
        clause = {"attribute": attribute.name, "op": "exists", "values": [True]}
    definition = parse_definition({"key": "k", "rules": [{"clauses": [clause]}]})
    assert user in User.objects.in_segment(definition)
    if attribute.type != "datetime":
        assert User.objects.in_segment(definition).count() == 1
