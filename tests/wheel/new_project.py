"""A new project with the wheel: `django-admin startproject`, Django's own user model, and our few lines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from tests.services.environments import Environment
from tests.services.flag_json import boolean_flag, segment_rule

PROGRAM: Final = "base_program.py"
"""What runs in it and prints JSON."""

FILE_CACHE = (
    '{"BACKEND": "featureflags.cache.backends.file.SharedFileCache", "LOCATION": BASE_DIR / "c"}'
)
REDIS_CACHE = (
    '{{"BACKEND": "featureflags.cache.backends.redis.SharedRedisCache", "LOCATION": "{url}"}}'
)

SETTINGS = """
INSTALLED_APPS += ["site1", "featureflags", {apps}]
MIDDLEWARE += ["featureflags.middleware.FeatureFlagsMiddleware"]
CACHES = {{"default": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}, "flags": {cache}}}
FEATUREFLAGS = {{"CACHE": "flags", "FLAG_FILE": str(BASE_DIR / "flags.json"), {more}}}
ALLOWED_HOSTS = ["testserver"]
"""

URLS = """
from django.urls import include

urlpatterns += [path("", include("featureflags.urls"))]
"""

KINDS = """
from django.contrib.auth.models import User

from featureflags.kinds import DaysSince, Kind, Many, Text


class UserKind(Kind):
    name = "user"
    model = User
    title = "username"
    search = ("username", "email")

    username = Text("username")
    email = Text("email", private=True, user_writable=True)
    account_age_days = DaysSince("date_joined")
    groups = Many("groups__name")
"""


WITHOUT_USERS = """
from django.contrib.auth.models import Group, User

admin.site.unregister([Group, User])
"""
"""A project whose admin shows no users."""


def start_project(
    folder: Path,
    installed: Environment,
    *,
    apps: str = "",
    cache: str = FILE_CACHE,
    more: str = "",
    urls: str = "",
) -> None:
    """A new project that has followed the page, as little as it can. `urls`: more of its URLs' module."""
    installed.run("-m", "django", "startproject", "site1", str(folder), folder=folder)
    settings = SETTINGS.format(apps=apps, cache=cache, more=more)
    for name, text in (("settings", settings), ("urls", urls + URLS), ("kinds", KINDS)):
        with (folder / "site1" / f"{name}.py").open("a") as file:
            file.write(text)
    flag = boolean_flag("for-ada", rules=[segment_rule("ada_s")])
    (folder / "flags.json").write_text(json.dumps({"flags": {flag["key"]: flag}}))
    shutil.copy(Path(__file__).with_name(PROGRAM), folder)
