"""Every fence of the documentation is run, from the top of its page to the bottom.

Fences of a page share their names, files and database, as a reader does who follows it.
"""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import json
import os
import re
import runpy
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.template import Context, Template
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from config.demo import DEMO_FLAG_FILE
from featureflags.evaluation.resolve import resolve
from featureflags.flags.declared import declared_flags
from tests.docs.fences import PAGES, Fence, fences_of, name_of
from tests.docs.shell import Shell
from tests.services.processes import ROOT, manage
from users.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded_stack]

READER = "paula@example.org"
WILD = "…"


class Reader:
    """Who follows one page: what was defined, written and answered so far."""

    def __init__(
        self, request: pytest.FixtureRequest, settings: Settings, client: Client, folder: Path
    ) -> None:
        self.fixtures = request
        self.settings = settings
        self.folder = folder
        self.shell = Shell(client=client, folder=folder)
        self.output = ""
        user = User.objects.get(email=READER)
        web_request = RequestFactory().get("/")
        web_request.user = user
        self.names: dict[str, Any] = {
            "user": user,
            "request": web_request,
            "order": {"customer": user},
        }

    def follow(self, fence: Fence) -> None:
        runner = runner_for(fence)
        assert runner is not None, f"{fence}: nothing runs this."
        runner(self, fence)

    def run_shell(self, fence: Fence) -> None:
        self.output = self.shell.run(fence.text)

    def compare_output(self, fence: Fence) -> None:
        """The output of the commands before."""
        pattern = re.escape(fence.text.strip()).replace(re.escape(WILD), ".*?")
        assert re.search(pattern, self.output, re.DOTALL), self.output

    def look_at(self, fence: Fence) -> None:
        """A picture in letters: the files that it names are there."""
        paths = re.findall(r"\b(?:config|users|featureflags|tests)/[\w/.]*\w/?", fence.text)
        assert not [path for path in paths if not (ROOT / path).exists()]

    def run_python(self, fence: Fence) -> None:
        """Statement by statement: one that awaits runs in an event loop, all others outside."""
        for statement in ast.parse(fence.text).body:
            module = ast.Module(body=[statement], type_ignores=[])
            where = f"{name_of(fence.page)}:{fence.line}"
            code = compile(module, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            answer = eval(code, self.names)
            if inspect.iscoroutine(answer):
                async_to_sync(_awaited)(answer)

    def write_module(self, fence: Fence) -> ModuleType:
        """A module of a project, imported by its name."""
        path = self.folder / fence.title
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(fence.text)
        name = ".".join(Path(fence.title).with_suffix("").parts)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def run_tests(self, fence: Fence) -> None:
        names: dict[str, Any] = {}
        exec(compile(fence.text, fence.title, "exec"), names)
        tests = [one for name, one in names.items() if name.startswith("test_")]
        assert tests
        for test in tests:
            needed = inspect.signature(test).parameters
            test(**{name: self.fixtures.getfixturevalue(name) for name in needed})

    def apply_settings(self, fence: Fence) -> None:
        names = {"FEATUREFLAGS": self.settings.FEATUREFLAGS}
        exec(compile(fence.text, fence.title, "exec"), names)
        for name, value in names.items():
            if name.isupper():
                setattr(self.settings, name, value)
        call_command("check", "--tag", "featureflags")

    def declare_flags(self, fence: Fence) -> None:
        module = ModuleType("documented_flags")
        sys.modules["documented_flags"] = module
        exec(compile(fence.text, fence.title, "exec"), module.__dict__)
        old = self.settings.FEATUREFLAGS
        self.settings.FEATUREFLAGS = {**old, "FLAGS": "documented_flags.FLAGS"}
        assert declared_flags()
        self.settings.FEATUREFLAGS = old

    def render(self, fence: Fence) -> None:
        assert Template(fence.text).render(Context(self.names)).strip()

    def set_environment(self, fence: Fence) -> None:
        """Variables that a process of ours starts with, each of them known."""
        lines = [line for line in fence.text.splitlines() if line and not line.startswith("#")]
        given = dict(line.split("=", 1) for line in lines)
        known = (ROOT / ".env.example").read_text()
        assert not [name for name in given if f"#{name}=" not in known]
        if given:
            ended = manage({**given, "GUIDON_IGNORE_DOTENV": "1"}, "check")
            assert ended.returncode == 0, ended.stderr

    def read_unit(self, fence: Fence) -> None:
        """A unit of systemd: what it starts is here, and it waits longer than gunicorn does."""
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]  # its names have capitals
        unit.read_string(fence.text)
        service = unit["Service"]
        words = service["ExecStart"].split()
        with mock.patch.dict(os.environ):
            # It names the folder of its workers' metrics.
            config = runpy.run_path(str(ROOT / words[words.index("--config") + 1]))
        assert int(service["TimeoutStopSec"]) > config["graceful_timeout"]
        assert (ROOT / words[-1].partition(":")[0].replace(".", "/")).with_suffix(".py").exists()

    def write_json(self, fence: Fence) -> None:
        assert json.loads(fence.text)
        (self.folder / fence.title).write_text(fence.text)

    def compare_context(self, fence: Fence) -> None:
        user = User.objects.get(email=fence.title.rpartition(" ")[2])
        context = resolve(user).context.to_dict()
        context.pop("_meta")
        assert_like(json.loads(fence.text), context)

    def compile(self, fence: Fence) -> None:
        """What another test runs is Python at least."""
        compile(fence.text, str(fence.page), "exec")

    def leave(self, fence: Fence) -> None:
        """What another test runs."""
        assert fence.text

    def compare_answer(self, fence: Fence) -> None:
        _, _, code = fence.title.partition(" ")
        assert self.shell.answer.status_code == int(code or 200), self.shell.answer.content
        assert_like(json.loads(fence.text), self.shell.answer.json())


async def _awaited(answer: Awaitable[Any]) -> None:
    await answer


def assert_like(shown: Any, real: Any) -> None:
    """Equal, but for what the page leaves out: “…”, as a value, a part of a text, or a key."""
    if isinstance(shown, dict):
        assert isinstance(real, dict)
        if WILD not in shown:
            assert set(shown) == set(real)
        for key in set(shown) - {WILD}:
            assert_like(shown[key], real[key])
    elif isinstance(shown, list) and WILD in shown:
        assert isinstance(real, list)
    elif isinstance(shown, str) and WILD in shown:
        pattern = re.escape(shown).replace(re.escape(WILD), ".*")
        assert re.fullmatch(pattern, str(real), re.DOTALL), (shown, real)
    else:
        assert shown == real


Runner = Callable[[Reader, Fence], object]

BY_TITLE: dict[tuple[str, str], Runner] = {
    ("shell", ""): Reader.run_shell,
    ("text", ""): Reader.compare_output,
    ("text", "picture"): Reader.look_at,
    ("python", ""): Reader.run_python,
    ("python", r"tests/.*\.py"): Reader.run_tests,
    ("python", r"config/settings/base\.py"): Reader.apply_settings,
    ("python", r"config/flags\.py"): Reader.declare_flags,
    ("python", r"shop/\w+\.py"): Reader.write_module,
    ("html+django", ""): Reader.render,
    ("ini", r"\.env"): Reader.set_environment,
    ("ini", r".*\.service"): Reader.read_unit,
    ("json", r"\w+\.json"): Reader.write_json,
    ("json", r"context of .*"): Reader.compare_context,
    ("json", r"answer( \d+)?"): Reader.compare_answer,
    # Runs on models of another project: tests/featureflags/kinds/test_documented.py.
    ("python", r"your/(kinds|views)\.py.*"): Reader.compile,
    # A real receiver runs it: tests/featureflags/webhooks/test_queue.py.
    ("python", r"verify\.py"): Reader.compile,
    # Chromium runs it: tests/clients/test_vendor.py.
    ("js", r"start\.js"): Reader.leave,
    # Clients in processes of their own: tests/clients/test_documented.py runs them.
    ("python", r"client\.py"): Reader.leave,
    ("js", r"(server|browser)\.mjs"): Reader.leave,
    ("go", r"main\.go"): Reader.leave,
    # With a generated client: tests/clients/test_generated.py runs them.
    ("python", r"segments\.py"): Reader.leave,
    ("ts", r"segments\.ts"): Reader.leave,
    ("js", r"flags\.mjs"): Reader.leave,
}
"""What runs a fence, by its language and a pattern for its title."""


def runner_for(fence: Fence) -> Runner | None:
    for (language, title), runner in BY_TITLE.items():
        if language == fence.language and re.fullmatch(title, fence.title):
            return runner
    return None


@pytest.fixture
def reader(
    request: pytest.FixtureRequest,
    settings: Settings,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flag_file: Callable[..., Path],
) -> Iterator[Reader]:
    """Somebody with the demo before them, in an empty folder."""
    flag_file(*json.loads((ROOT / DEMO_FLAG_FILE).read_text())["flags"].values())
    call_command("seed_demo", password="demo", verbosity=0)
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield Reader(request, settings, client, folder)
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"shop", "documented_flags"}:
            del sys.modules[name]


ELSEWHERE = {"docs/developers/existing-project.md"}
"""`tests/wheel` applies it to a project of its own."""
WITH_FENCES = [page for page in PAGES if list(fences_of(page)) and name_of(page) not in ELSEWHERE]


@pytest.mark.parametrize("page", WITH_FENCES, ids=name_of)
def test_what_a_page_shows_is_so(page: Path, reader: Reader) -> None:
    for fence in fences_of(page):
        print(fence)
        reader.follow(fence)


def test_there_is_something_to_run() -> None:
    assert len([fence for page in PAGES for fence in fences_of(page)]) > 30


def test_a_fence_that_nothing_runs_is_found() -> None:
    for language, title in (("python", "elsewhere.txt"), ("text", "notes"), ("", ""), ("bash", "")):
        fence = Fence(page=ROOT / "README.md", line=1, language=language, title=title, text="")
        assert runner_for(fence) is None
