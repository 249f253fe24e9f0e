"""The apps of the project itself: the admin, loaded when it is needed, and the end of loading."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks

from config import startup


class AdminConfig(SimpleAdminConfig):
    """`config/urls.py` imports the `admin` modules; a command or a worker needs none of them."""

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_every_admin, checks.Tags.admin)


class ProjectConfig(AppConfig):
    """Must be the last of INSTALLED_APPS: everything is loaded when it is ready."""

    name = "config"

    def ready(self) -> None:
        startup.loaded()


def check_every_admin(**options: Any) -> list[checks.CheckMessage]:
    """Django's checks of the admin classes. Imports them first: Django runs checks in any order."""
    admin.autodiscover()
    found: list[checks.CheckMessage] = check_admin_app(**options)
    return found
