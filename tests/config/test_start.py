"""What a start of Guidon loads, and what it leaves until somebody needs it."""

from __future__ import annotations

import pytest

from tests.services.processes import run_python

SETUP = "import gc, sys, django; django.setup()\n"
SURFACES = ("featureflags.admin", "featureflags.api", "featureflags.tasks", "users.admin", "httpx")
"""The costly ones among those that neither a command nor an evaluation needs."""


def printed(script: str) -> str:
    """What a new Python prints that sets Django up and runs this."""
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings.testing", "GUIDON_TEST_WORKER": None}
    ended = run_python(settings, "-c", SETUP + script)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_start_loads_no_surface_and_collects_garbage_again() -> None:
    loaded = f"print([name for name in {SURFACES!r} if name in sys.modules])\n"
    assert printed(f"{loaded}print(gc.isenabled())") == "[]\nTrue"


def test_the_checks_look_at_every_admin_class_although_none_was_loaded() -> None:
    script = """
from django.contrib import admin
from django.core.checks import run_checks
from users.models import User
run_checks(tags=["admin"])
print(User in admin.site._registry)
"""
    assert printed(script) == "True"


@pytest.mark.parametrize("entry", ["config.wsgi", "config.asgi"])
def test_a_web_server_has_every_view_before_its_first_request(entry: str) -> None:
    script = f"import {entry}\nprint([name for name in {SURFACES!r} if name not in sys.modules])"
    assert printed(script) == "[]"
