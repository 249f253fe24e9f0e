"""The users that a list of members names, and what is wrong with its lines."""

from __future__ import annotations

import datetime
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from featureflags.editing.member_files import read_member_list
from featureflags.editing.member_lookup import find_members
from featureflags.models.changesets import MemberState
from tests.factories import UserFactory
from users.models import User

pytestmark = pytest.mark.django_db

INCLUDED = MemberState(kind="include", reason="", expires_at=None)
UTC = datetime.UTC


def test_by_address_and_by_key() -> None:
    ada, bob = UserFactory.create(email="ada@x.io"), UserFactory.create(email="bob@x.io")
    read = read_member_list(f"ADA@x.io\n{bob.pk}\nnobody@x.io\n{uuid.UUID(int=7)}")
    found = find_members(read, INCLUDED)
    assert found.members == {str(ada.pk): INCLUDED, str(bob.pk): INCLUDED}
    assert tuple(map(str, found.problems)) == (
        "Line 3: nobody has the e-mail nobody@x.io.",
        f"Line 4: nobody has the key {uuid.UUID(int=7)}.",
    )


def test_a_user_listed_twice() -> None:
    ada = UserFactory.create(email="ada@x.io")
    read = read_member_list(f"email,key,kind\nada@x.io,,\n,{ada.pk},\nada@x.io,,exclude\n")
    found = find_members(read, INCLUDED)
    assert found.members == {str(ada.pk): INCLUDED}
    assert tuple(map(str, found.repeated)) == (f"Line 3: {ada.pk} is also on line 2.",)
    assert tuple(map(str, found.problems)) == (
        "Line 4: ada@x.io is also on line 2, with other values.",
    )


def test_the_list_takes_precedence_over_the_form() -> None:
    user = UserFactory.create(email="ada@x.io")
    soon = datetime.datetime(2030, 1, 1, tzinfo=UTC)
    default = MemberState(kind="exclude", reason="Form", expires_at=soon)
    plain = find_members(read_member_list("ada@x.io"), default).members[str(user.pk)]
    assert plain == default
    text = "email,kind,reason,expires_at\nada@x.io,include,,\n"
    said = find_members(read_member_list(text), default).members[str(user.pk)]
    assert said == INCLUDED


def test_thousands_cost_few_queries() -> None:
    users = User.objects.bulk_create(User(email=f"m{n}@x.io") for n in range(3_000))
    text = "\n".join(f"m{n}@x.io" for n in range(3_000)) + f"\n{users[0].pk}"
    with CaptureQueriesContext(connection) as queries:
        found = find_members(read_member_list(text), INCLUDED)
    assert len(found.members) == 3_000
    assert len(queries) == 4
