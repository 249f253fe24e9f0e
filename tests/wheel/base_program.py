"""Runs in a fresh environment: a new project with the wheel. `python base_program.py`. Prints JSON."""

from __future__ import annotations

import json
import os
import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import django

# What the next Django takes away.
warnings.filterwarnings("error", category=DeprecationWarning, module=r"featureflags(\.|$)")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site1.settings")
django.setup()

from django.conf import settings  # noqa: E402 - after the line above
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from featureflags.evaluation import is_enabled, override_flag  # noqa: E402
from featureflags.evaluation.resolve import resolve  # noqa: E402
from featureflags.models import Segment  # noqa: E402

OF_EXTRAS = {
    *("celery", "kombu", "redis", "django_redis", "rest_framework", "django_filters"),
    *(
        "drf_spectacular",
        "httpx",
        "stamina",
        "cachalot",
        "psycopg",
        "prometheus_client",
        "opentelemetry",
        "openfeature",
    ),
    # What the demo has and no project needs.
    *("csp", "whitenoise", "environ", "hiredis", "tzdata", "packaging", "pytest"),
}


def main() -> dict[str, Any]:
    call_command("check", fail_level="WARNING")
    call_command("migrate", verbosity=0)
    call_command("check", databases=["default"])
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
    people: Any = get_user_model().objects
    boss = people.create_superuser("boss", "boss@example.com")
    people.create_user("ada", "ada@example.com", first_name="Ada")
    found: dict[str, Any] = {
        "is_enabled": is_enabled("for-ada", "2"),
        "before": is_enabled("for-ada", boss),
    }
    write_segment()
    found["after"] = is_enabled("for-ada", "2")
    people.filter(username="ada").update(username="bea")
    found["renamed"] = is_enabled("for-ada", "2")
    with override_flag("for-ada", True):
        found["overridden"] = is_enabled("for-ada", boss)
    found["statuses"] = open_pages(boss)
    for name in ("run_due_tasks", "segment_sizes", "explain_segment", "warm_contexts"):
        arguments = {"explain_segment": ["ada_s", "2"], "warm_contexts": ["--all"]}.get(name, [])
        call_command(name, *arguments)
    if find_spec("openfeature"):
        import_module("featureflags.openfeature")
    found["source"] = str(resolve("2").source)
    found["loaded"] = sorted({name.partition(".")[0] for name in sys.modules} & OF_EXTRAS)
    return found


def write_segment() -> None:
    segment = Segment(key="ada_s", name="Called ada", rules=[])
    clause = {"attribute": "username", "op": "in", "values": ["ada"], "negate": False}
    segment.rules = [{"id": "a", "description": "", "clauses": [clause]}]
    segment.full_clean()
    segment.save()


def open_pages(boss: Any) -> dict[str, int]:
    client = Client(raise_request_exception=False)
    client.force_login(boss)
    ours = "/admin/featureflags/segment"
    segment = Segment.objects.get(key="ada_s")
    pages = [
        *("/admin/", "/healthz", "/readyz", f"{ours}/", f"{ours}/add/", f"{ours}/flags/"),
        *(f"{ours}/{segment.pk}/change/", f"{ours}/members/ada_s/", f"{ours}/history/ada_s/"),
        *(f"{ours}/by-name/ada_s/", f"{ours}/why/", f"{ours}/why/segment/ada_s/2/"),
        *(f"{ours}/flags/for-ada/", f"{ours}/user-context/2/", "/admin/featureflags/warmrun/"),
    ]
    if find_spec("prometheus_client"):
        pages.append("/metrics")
    if "rest_framework" in settings.INSTALLED_APPS:
        pages += ["/api/v1/flags/", "/api/v1/segments/", "/api/v1/segments/ada_s/"]
    return {page: client.get(page).status_code for page in pages}


if __name__ == "__main__":
    print(json.dumps(main()))
