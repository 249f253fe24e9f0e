"""`seed_demo`: loads the demo once, changes nothing that is there, and opens no door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.utils import timezone
from pytest_django.fixtures import Settings

from config.demo import DEMO_PEOPLE
from featureflags.evaluation import is_enabled, variation
from featureflags.evaluation.resolve import resolve
from featureflags.models import Segment
from tests.featureflags.management.conftest import Call
from tests.featureflags.management.conftest import call as call
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def new_flag_file(settings: Settings, tmp_path: Path) -> Path:
    path = tmp_path / "somewhere" / "flags.json"
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAG_FILE": str(path)}
    return path


def test_the_demo_shows_different_flags_to_different_people(
    call: Call, new_flag_file: Path
) -> None:
    assert call("seed_demo").error is None
    nina, ada, paula = (
        User.objects.get(email=email)
        for email in ("nina@example.com", "ada@agpt.co", "paula@example.org")
    )
    assert [is_enabled("new-checkout", user) for user in (nina, ada, paula)] == [False, True, True]
    assert [is_enabled("welcome-tour", user) for user in (nina, ada, paula)] == [True, False, False]
    assert is_enabled("internal-tools", ada)
    assert len({str(variation("accent-colour", user)) for user in (nina, ada, paula)}) > 1
    assert "paying_customer" in resolve(paula).segments
    assert new_flag_file.exists()


def test_people_are_as_the_project_declares(call: Call, new_flag_file: Path) -> None:
    call("seed_demo")
    for person in DEMO_PEOPLE:
        user = User.objects.get(email=person.email)
        user.full_clean(exclude=["password"])
        assert (user.name, user.role, user.metadata) == (
            person.name,
            person.role,
            dict(person.metadata),
        )
        assert (timezone.now() - user.created_at).days == person.days_old
        assert user.is_staff == user.is_superuser == person.is_superuser


def test_again_changes_nothing_and_loses_nothing(call: Call, new_flag_file: Path) -> None:
    call("seed_demo")
    User.objects.filter(email="nina@example.com").update(name="Nina the Second")
    segment = Segment.objects.get(key="paying_customer")
    segment.name = "Edited"
    segment.rules = []
    segment.save()
    new_flag_file.write_text('{"flags": {}}')
    before = list(User.objects.order_by("pk").values()), list(Segment.objects.values())
    assert "Demo added: 0 people, 0 segments." in call("seed_demo").out
    assert (list(User.objects.order_by("pk").values()), list(Segment.objects.values())) == before
    assert json.loads(new_flag_file.read_text()) == {"flags": {}}


def test_if_empty_leaves_a_site_with_users_alone(call: Call, new_flag_file: Path) -> None:
    User.objects.create_user("owner@example.com")
    assert "so the demo was not loaded" in call("seed_demo", "--if-empty").out
    assert User.objects.count() == 1
    assert not Segment.objects.filter(key="paying_customer").exists()
    User.objects.all().delete()
    call("seed_demo", "--if-empty")
    assert User.objects.count() == len(DEMO_PEOPLE)


@pytest.mark.parametrize(("debug", "can"), [(True, True), (False, False)])
def test_the_known_password_opens_development_alone(
    call: Call, new_flag_file: Path, settings: Settings, debug: bool, can: bool
) -> None:
    settings.DEBUG = debug
    out = call("seed_demo").out
    found = authenticate(email="admin@example.com", password="demo")
    assert (found is not None, "admin@example.com" in out) == (can, can)


def test_a_password_of_ones_own(call: Call, new_flag_file: Path) -> None:
    call("seed_demo", "--password", "correct horse")
    assert authenticate(email="ada@agpt.co", password="correct horse") is not None


def test_a_crowd_comes_beside_the_people(call: Call, new_flag_file: Path) -> None:
    assert "25 random users added, 0 were there" in call("seed_demo", "--users", "25").out
    assert "5 random users added, 25 were there" in call("seed_demo", "--users", "30").out
    assert User.objects.count() == 30 + len(DEMO_PEOPLE)
    assert call("seed_demo", "--users", "-1").error is not None
