"""`create_api_key`: the token is printed once; what is wrong is said and nothing is made."""

from __future__ import annotations

import datetime
import json

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from featureflags.models import ApiKey
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def test_it_prints_the_token_alone(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_api_key", "shop", "--scope", "evaluate", "--flag", "a", "--flag", "b")
    printed = capsys.readouterr()
    row = ApiKey.objects.by_token(printed.out.strip())
    assert row is not None
    assert (row.name, row.flags, row.expires_at) == ("shop", ["a", "b"], None)
    assert "gdn_" not in printed.err


def test_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    owner = UserFactory.create(email="ada@agpt.co")
    arguments = ["--scope", "write", "--owner", "Ada@agpt.co", "--expires", "90", "--json"]
    call_command("create_api_key", "sync", *arguments)
    shown = json.loads(capsys.readouterr().out)
    row = ApiKey.objects.by_token(shown.pop("token"))
    assert row is not None
    assert shown.pop("expires_at") is not None
    assert shown == {
        "id": row.pk,
        "name": "sync",
        "prefix": row.prefix,
        "scope": "write",
        "owner": str(owner.pk),
        "kinds": [],
        "flags": [],
        "origins": [],
    }
    assert row.expires_at is not None
    left = row.expires_at - timezone.now()
    assert datetime.timedelta(days=89) < left <= datetime.timedelta(days=90)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scope", "write"], "--owner"),
        (["--scope", "read", "--owner", "nobody@example.com"], "no user"),
        (["--scope", "evaluate", "--owner", "ada@agpt.co"], "no owner"),
        (["--scope", "evaluate", "--origin", "shop"], "not an origin"),
        (["--scope", "evaluate", "--expires", "0"], "--expires"),
        (["--scope", "evaluate", "--expires", "999999"], "--expires"),
        (["--scope", "everything"], "scope"),
        ([], "--scope"),
    ],
)
def test_what_is_wrong_makes_no_key(arguments: list[str], words: str) -> None:
    UserFactory.create(email="ada@agpt.co")
    with pytest.raises(CommandError, match=words):
        call_command("create_api_key", "shop", *arguments)
    assert not ApiKey.objects.exists()
