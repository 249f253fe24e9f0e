"""API keys in the admin: shown once, in no log; nobody makes a key that may more than they may."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse

from featureflags.models import ApiKey
from tests.browser.conftest import person_with
from tests.factories import UserFactory, token_for
from users.models import User

pytestmark = pytest.mark.django_db

ADD = reverse("admin:featureflags_apikey_add")
LIST = reverse("admin:featureflags_apikey_changelist")
TOKEN = re.compile(r'value="(gdn_[^"]+)"')


def form(**fields: Any) -> dict[str, Any]:
    return {
        "name": "shop",
        "scope": "evaluate",
        "kinds": "",
        "flags": "",
        "origins": "",
        "expires_at_0": "",
        "expires_at_1": "",
        **fields,
    }


def everything_stored() -> str:
    found: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            found += [str(row) for row in cursor.fetchall()]
    found += [str(session.get_decoded()) for session in Session.objects.all()]
    return "\n".join(found)


@pytest.fixture
def maker() -> User:
    return person_with("view_apikey", "add_apikey", "change_apikey")


@pytest.fixture
def asking(client: Client, maker: User) -> Client:
    client.force_login(maker)
    return client


def test_the_token_is_shown_once_and_stored_nowhere(asking: Client, maker: User) -> None:
    answer = asking.post(ADD, form(flags="new-checkout\r\n\r\n beta \nbeta", name="<b>shop</b>"))
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    found = TOKEN.search(html.unescape(answer.content.decode()))
    assert found is not None
    assert "<b>shop" not in answer.content.decode()
    token = found[1]
    row = ApiKey.objects.by_token(token)
    assert row is not None
    assert (row.flags, row.owner, row.scope) == (["new-checkout", "beta"], None, "evaluate")
    secret = token.split("_", 2)[2]
    entry = LogEntry.objects.get()
    assert secret not in f"{entry.object_repr} {entry.change_message} {entry}"
    assert row.prefix in entry.object_repr
    assert secret not in everything_stored()
    for path in (LIST, reverse("admin:featureflags_apikey_change", args=[row.pk]), "/admin/"):
        assert secret not in asking.get(path).content.decode()


def test_who_makes_a_key_is_its_owner(asking: Client, maker: User) -> None:
    root = UserFactory.create(superuser=True)
    asking.post(ADD, form(scope="write", owner=str(root.pk)))
    assert ApiKey.objects.get().owner == maker


def test_a_superuser_may_name_another_owner(client: Client) -> None:
    root, other = UserFactory.create(superuser=True), UserFactory.create(staff=True)
    client.force_login(root)
    client.post(ADD, form(scope="read", owner=str(other.pk)))
    assert ApiKey.objects.get().owner == other
    client.post(ADD, form(scope="read", name="own"))
    assert ApiKey.objects.get(name="own").owner == root
    client.post(ADD, form(name="nobody", owner=str(other.pk)))
    assert ApiKey.objects.get(name="nobody").owner is None


def test_scope_and_owner_are_fixed(asking: Client, maker: User) -> None:
    token_for(maker, name="shop")
    row = ApiKey.objects.get()
    page = reverse("admin:featureflags_apikey_change", args=[row.pk])
    changed = {"name": "till", "scope": "evaluate", "owner": "", "digest": "0", "prefix": "x"}
    answer = asking.post(page, form(**changed, origins="https://shop.example.com"))
    assert answer.status_code == 302
    stored = ApiKey.objects.get()
    assert (stored.name, stored.is_active) == ("till", False)
    assert (stored.scope, stored.owner, stored.digest) == ("write", maker, row.digest)
    assert (stored.prefix, stored.origins) == (row.prefix, ["https://shop.example.com"])


def test_what_is_wrong_is_named_at_its_field(asking: Client) -> None:
    answer = asking.post(ADD, form(origins="shop.example.com", name=""))
    assert answer.status_code == 200
    errors = answer.context["adminform"].form.errors
    assert set(errors) == {"name", "origins"}
    assert not ApiKey.objects.exists()


def test_it_takes_permissions(client: Client) -> None:
    client.force_login(person_with("view_segment"))
    assert client.get(LIST).status_code == 403
    assert client.post(ADD, form()).status_code == 403
