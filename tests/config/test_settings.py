"""The settings: production refuses what is missing by name, and every variable is described."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.services import processes
from tests.services.processes import ROOT

COMPLETE: Mapping[str, str | None] = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "GUIDON_IGNORE_DOTENV": "1",
    "SECRET_KEY": "kT7-uP2.qX9_wM4+zB6=cV1!rL8*nH3?jF5:dS0;gA",
    "DATABASE_URL": "postgres://guidon:secret@127.0.0.1:5432/guidon",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "CELERY_BROKER_URL": "redis://127.0.0.1:6379/1",
    "ALLOWED_HOSTS": "flags.example.com",
    "LAUNCHDARKLY_SDK_KEY": "sdk-11111111-2222-3333-4444-555555555555",
    "LAUNCHDARKLY_FLAG_FILE": None,
    "SECURE_SSL_REDIRECT": None,
}
LONG_KEY = "kT7-uP2.qX9_wM4+zB6=cV1!rL8*nH3?jF5:dS0;gA-xY2/bN7#eQ"


def manage(
    var_dir: Path, *arguments: str, **changes: str | None
) -> subprocess.CompletedProcess[str]:
    env = {**COMPLETE, "SECRET_KEY": LONG_KEY, "GUIDON_VAR_DIR": str(var_dir), **changes}
    return processes.manage(env, *arguments)


LOADER = """
import importlib, json, os, sys, traceback
for line in sys.stdin:
    os.environ.clear()
    os.environ.update(json.loads(line))
    for name in [name for name in sys.modules if name.startswith("config.settings")]:
        del sys.modules[name]
    said = ""
    try:
        importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except Exception:
        said = traceback.format_exc()
    print(json.dumps(said), flush=True)
"""
"""Loads the settings for each environment that it is given, and says how that failed: for each, a process would take
half a second."""


@pytest.fixture(scope="module")
def loader() -> Iterator[processes.Piped]:
    with processes.Piped({"DJANGO_SETTINGS_MODULE": None}, "-c", LOADER) as process:
        yield process


def refusal(loader: processes.Piped, var_dir: Path, **changes: str | None) -> str:
    """What a command says with these settings; empty if it starts."""
    env = {**COMPLETE, "SECRET_KEY": LONG_KEY, "GUIDON_VAR_DIR": str(var_dir), **changes}
    loader.write_line(json.dumps(processes.environment_with(env)))
    said: str = json.loads(loader.read_line())
    return said


def test_a_complete_environment_passes_the_deployment_check(tmp_path: Path) -> None:
    ended = manage(tmp_path, "check", "--deploy", "--fail-level=INFO")
    assert ended.returncode == 0, ended.stderr
    assert "no issues" in ended.stdout


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECRET_KEY", None),
        ("SECRET_KEY", "change-me"),
        ("SECRET_KEY", "insecure-development-key"),
        ("SECRET_KEY", COMPLETE["SECRET_KEY"]),
        ("DATABASE_URL", None),
        ("DATABASE_URL", "sqlite:///x.sqlite3"),
        ("REDIS_URL", None),
        ("CELERY_BROKER_URL", None),
        ("ALLOWED_HOSTS", None),
        ("LAUNCHDARKLY_SDK_KEY", None),
        ("LAUNCHDARKLY_SDK_KEY", "sdk-00000000-0000-0000-0000-000000000000"),
    ],
)
def test_what_is_missing_or_a_default_is_named(
    loader: processes.Piped, tmp_path: Path, variable: str, value: str | None
) -> None:
    said = refusal(loader, tmp_path, **{variable: value})
    named = re.findall(r"^- (\w+) is missing", said, re.MULTILINE)
    assert named == [variable]
    assert value is None or value not in said


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    nothing = dict.fromkeys(
        ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "ALLOWED_HOSTS")
    )
    ended = manage(tmp_path, "check", **nothing, LAUNCHDARKLY_SDK_KEY=None)
    assert ended.returncode == 1
    named = re.findall(r"^- (\w+) is missing", ended.stderr, re.MULTILINE)
    assert named == [*nothing, "LAUNCHDARKLY_SDK_KEY"]


def test_a_flag_file_replaces_launchdarkly(tmp_path: Path) -> None:
    flags = str(tmp_path / "flags.json")
    ended = manage(tmp_path, "check", LAUNCHDARKLY_SDK_KEY=None, LAUNCHDARKLY_FLAG_FILE=flags)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("source", ["daemon", "offline"])
def test_a_source_that_needs_no_key_replaces_one(tmp_path: Path, source: str) -> None:
    ended = manage(
        tmp_path,
        "check",
        LAUNCHDARKLY_SDK_KEY=None,
        LAUNCHDARKLY_SOURCE=source,
        LAUNCHDARKLY_DAEMON_URL="redis://localhost:6379/0",
    )
    assert ended.returncode == 0, ended.stderr


def test_development_needs_nothing(tmp_path: Path) -> None:
    nothing: dict[str, str | None] = dict.fromkeys(COMPLETE)
    nothing["GUIDON_IGNORE_DOTENV"] = "1"
    ended = manage(tmp_path, "check", **nothing)
    assert ended.returncode == 0, ended.stderr
    shown = manage(
        tmp_path,
        "shell",
        "--verbosity=0",
        "--command",
        "from django.conf import settings as s; print(s.DEBUG, s.DATABASES['default']['ENGINE'], "
        "s.CACHES['featureflags']['BACKEND'], s.CELERY_TASK_ALWAYS_EAGER)",
        **nothing,
    )
    assert shown.stdout.split() == [
        "True",
        "django.db.backends.sqlite3",
        "featureflags.cache.backends.file.SharedFileCache",
        "True",
    ]


VARIABLE = re.compile(
    r"""(?:env\.\w+|\b(?:url|whole|decimal|boolean)|environ\.get|os\.environ\.setdefault)\(\s*"([A-Z_]+)"|"([A-Z_]+)" not in os\.environ"""
)
OF_THE_TESTS = {"PYTEST_XDIST_WORKER", "GUIDON_TEST_WORKER"}
DJANGOS_OWN = {"DJANGO_RUNSERVER_HIDE_WARNING"}
"""`make run` sets it; nobody else needs it."""


def test_every_variable_is_described_and_no_other() -> None:
    sources = [*(ROOT / "config").rglob("*.py"), *(ROOT / "featureflags").rglob("*.py")]
    read = {
        name
        for source in (*sources, ROOT / "manage.py")
        for found in VARIABLE.findall(source.read_text())
        for name in found
        if name
    }
    read |= set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text()))
    example = (ROOT / ".env.example").read_text()
    described = re.findall(r"^#([A-Z_]+)=", example, re.MULTILINE)
    assert sorted(described) == sorted(read - OF_THE_TESTS - DJANGOS_OWN)
    assert "FORCE_FLAG_" in example


def described() -> dict[str, str]:
    """The variables of `.env.example`, with the values that it shows."""
    return dict(re.findall(r"^#([A-Z_]+)=(.*)", (ROOT / ".env.example").read_text(), re.MULTILINE))


SHOWN = """
import json, django.conf as c, config.gunicorn as g
s = c.settings
names = [n for n in dir(s) if n.isupper() and n not in {"FEATUREFLAGS"}]
print(json.dumps([{n: getattr(s, n) for n in names}, s.FEATUREFLAGS, g.bind, g.workers], default=str))
"""


def shown(var_dir: Path, **changes: str | None) -> str:
    nothing: dict[str, str | None] = dict.fromkeys(described())
    nothing |= {"GUIDON_IGNORE_DOTENV": "1", "GUIDON_VAR_DIR": str(var_dir)}
    nothing["DJANGO_SETTINGS_MODULE"] = "config.settings.development"
    ended = processes.manage(nothing | changes, "shell", "--verbosity=0", "--command", SHOWN)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_an_empty_variable_is_a_missing_one(tmp_path: Path) -> None:
    """A list may be empty on purpose."""
    lists = {
        "ALLOWED_HOSTS",
        "ENTRY_KEYS",
        "LAUNCHDARKLY_PRIVATE_ATTRIBUTES",
        "LAUNCHDARKLY_ATTRIBUTES",
    }
    apart = {"DJANGO_SETTINGS_MODULE", "GUIDON_IGNORE_DOTENV", "GUIDON_VAR_DIR"}
    empty: dict[str, str | None] = dict.fromkeys(set(described()) - lists - apart, "")
    assert shown(tmp_path, **empty) == shown(tmp_path)


def test_an_empty_variable_does_not_weaken_production(tmp_path: Path) -> None:
    code = (
        "from django.conf import settings as s; print(s.SECURE_SSL_REDIRECT, s.SECURE_HSTS_SECONDS)"
    )
    ended = manage(
        tmp_path,
        *("shell", "--verbosity=0", "--command", code),
        SECURE_SSL_REDIRECT="",
        SECURE_HSTS_SECONDS="",
        INSECURE_HTTP="",
    )
    assert ended.stdout.split() == ["True", "31536000"], ended.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://guidon:hidden@127.0.0.1/guidon"),
        ("DATABASE_URL", "hidden"),
        ("DATABASE_URL", "postgres://"),
        ("SECURE_SSL_REDIRECT", "ture"),
        ("SECURE_HSTS_SECONDS", "a year"),
        ("CONN_MAX_AGE", "1m"),
    ],
)
def test_a_value_that_cannot_be_read_is_named(
    loader: processes.Piped, tmp_path: Path, variable: str, value: str
) -> None:
    said = refusal(loader, tmp_path, **{variable: value})
    last = said.strip().splitlines()[-1]
    assert last.startswith(f"django.core.exceptions.ImproperlyConfigured: {variable} "), last
    assert "hidden" not in said


def test_the_loader_takes_a_complete_environment(loader: processes.Piped, tmp_path: Path) -> None:
    assert refusal(loader, tmp_path) == ""


def test_the_example_changes_nothing_when_it_is_copied_as_it_is() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
