"""Checks of what a project must have around this app: each id, with the mistake and without."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
from celery import current_app
from django.apps import apps
from django.contrib import admin
from django.core.checks import CheckMessage
from django.core.checks import Error as CheckError
from django.db import connection
from django.urls import include, path
from pytest_django.fixtures import Settings

from featureflags import celery as schedules
from featureflags import checks
from featureflags.checks import project
from featureflags.flags import Flag, FlagType

HERE = "tests.featureflags.test_project_checks"
CLIENT_SIDE = [
    Flag(
        key="banner",
        type=FlagType.BOOLEAN,
        default=False,
        description="A flag.",
        owner="us",
        client_side=True,
    )
]
SERVER_SIDE = [
    Flag(key="job", type=FlagType.BOOLEAN, default=False, description="A flag.", owner="us")
]

admin.autodiscover()
urlpatterns = [path("admin/", admin.site.urls), path("", include("featureflags.urls"))]
with_admin = types.ModuleType("with_admin")
with_admin.__dict__["urlpatterns"] = urlpatterns[:1]
with_api = types.ModuleType("with_api")
with_api.__dict__["urlpatterns"] = urlpatterns[1:]


def ids(found: list[CheckMessage]) -> list[str]:
    return [str(message.id) for message in found]


@contextmanager
def celery_with(**changes: object) -> Iterator[None]:
    before = {name: current_app.conf[name] for name in changes}
    current_app.conf.update(changes)
    try:
        yield
    finally:
        current_app.conf.update(before)


@pytest.mark.parametrize(
    ("vendor", "name"), [("mysql", "MySQL"), ("mysql", "MariaDB"), ("oracle", "Oracle")]
)
def test_e050_mysql_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, vendor: str, name: str
) -> None:
    """No driver of these is installed here: the connection says that it is one."""
    assert checks.check_database() == []
    monkeypatch.setattr(connection, "vendor", vendor)
    monkeypatch.setattr(connection, "display_name", name)
    (message,) = checks.check_database()
    assert (message.id, type(message)) == ("featureflags.E050", CheckError)
    assert f"is {name}. Guidon works with PostgreSQL and SQLite" in str(message.msg)
    assert "PostgreSQL or SQLite" in str(message.hint)


def test_e051_psycopg2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "vendor", "postgresql")
    assert checks.check_database() == []
    monkeypatch.setattr(project, "HAS_PSYCOPG", False)
    (message,) = checks.check_database()
    assert (message.id, "psycopg[binary]" in str(message.hint)) == ("featureflags.E051", True)


def test_e052_instants_without_a_zone(settings: Settings) -> None:
    assert checks.check_use_tz() == []
    settings.USE_TZ = False
    assert ids(checks.check_use_tz()) == ["featureflags.E052"]


def test_w053_templates_without_the_request(settings: Settings) -> None:
    assert checks.check_context_processors() == []
    templates = deepcopy(settings.TEMPLATES)
    templates[0]["OPTIONS"]["context_processors"].remove(project.REQUEST)
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.jinja2.Jinja2"}, *templates]
    (message,) = checks.check_context_processors()
    assert message.id == "featureflags.W053"
    assert "TEMPLATES[1]" in str(message.msg)


def test_w054_no_address_of_the_admin(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAGS": f"{HERE}.SERVER_SIDE"}
    settings.ROOT_URLCONF = with_admin
    assert checks.check_urls() == []
    settings.ROOT_URLCONF = with_api
    assert ids(checks.check_urls()) == ["featureflags.W054"]
    settings.ROOT_URLCONF = ""
    assert checks.check_urls() == []


def test_w055_flags_for_browsers_that_no_address_answers(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAGS": f"{HERE}.CLIENT_SIDE"}
    settings.ROOT_URLCONF = HERE
    assert checks.check_urls() == []
    settings.ROOT_URLCONF = with_admin
    (message,) = checks.check_urls()
    assert message.id == "featureflags.W055"
    assert "banner" in str(message.msg)
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAGS": f"{HERE}.SERVER_SIDE"}
    assert checks.check_urls() == []


def test_w059_mails_that_cannot_link_to_the_site(settings: Settings) -> None:
    assert checks.check_site_url() == []
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "MAIL_NOTICES": True}
    (message,) = checks.check_site_url()
    assert message.id == "featureflags.W059"
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SITE_URL": "https://flags.example.com"}
    assert checks.check_site_url() == []


def test_w058_a_schema_drawn_with_other_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROOT_URLCONF = with_api
    assert checks.check_schema() == []
    settings.SPECTACULAR_SETTINGS = {"OAS_VERSION": "3.0.3", "COMPONENT_SPLIT_REQUEST": True}
    (message,) = checks.check_schema()
    assert message.id == "featureflags.W058"
    assert 'lacks "OAS_VERSION": "3.1.0":' in str(message.msg)
    settings.SPECTACULAR_SETTINGS = {}
    (message,) = checks.check_schema()
    assert "OAS_VERSION" in str(message.msg)
    assert "COMPONENT_SPLIT_REQUEST" in str(message.msg)
    settings.ROOT_URLCONF = with_admin
    assert checks.check_schema() == []
    settings.ROOT_URLCONF = with_api
    monkeypatch.setattr(apps, "is_installed", lambda app: app != "drf_spectacular")
    assert checks.check_schema() == []


@pytest.mark.parametrize(
    ("given", "extra"),
    [
        ({"SPARE_URL": "redis://spare"}, "redis"),
        ({"SOURCE": "daemon", "DAEMON_URL": "redis://daemon"}, "redis"),
        ({"API_TOKEN": "api-1"}, "sync"),
        ({"SYNC_SEGMENTS": True}, "sync"),
    ],
)
def test_e056_a_setting_without_its_package(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, given: Mapping[str, Any], extra: str
) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **given}
    assert checks.check_extras() == []
    monkeypatch.setattr(project, "missing_modules", lambda name: [f"all-of-{name}"])
    (message,) = checks.check_extras()
    assert message.id == "featureflags.E056"
    assert f"needs all-of-{extra}, which is not installed" in str(message.msg)
    assert f'pip install "guidon[{extra}]"' in str(message.hint)


def test_w057_a_beat_without_our_schedule() -> None:
    broker = {"task_always_eager": False, "broker_url": "redis://broker"}
    with celery_with(**broker, beat_schedule=schedules.schedule()):
        assert checks.check_beat() == []
    less = schedules.schedule()
    del less["count-segments"]
    with celery_with(**broker, beat_schedule=less):
        (message,) = checks.check_beat()
        assert message.id == "featureflags.W057"
        assert "lacks featureflags.tasks.count_segments:" in str(message.msg)
    with celery_with(**broker, beat_schedule={}, beat_scheduler="django_celery_beat.schedulers:DB"):
        assert checks.check_beat() == []
    with celery_with(task_always_eager=True, beat_schedule={}):
        assert checks.check_beat() == []
