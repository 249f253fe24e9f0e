"""What `trace` runs once it has its servers: it goes three journeys, and writes down the way."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse

from featureflags import evaluation
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment
from featureflags.tasks import count_changed_segments, warm_range
from featureflags.warming.runs import begin
from featureflags.warming.scope import Scope
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / name) + "/" for name in ("config", "featureflags", "users"))
KEY = "traced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One journey through our own code; libraries are not counted."""

    calls: int
    """Functions that were called."""
    modules: int
    changes: int
    """How often a call was in another module than the call before it."""
    most_entries: int
    """How often the module was entered that was entered most."""
    busiest: str
    steps: tuple[str, ...] = ()


def trace(work: Callable[[], object]) -> Way:
    """Go through `work` in this thread and write down each call of a function of ours."""
    steps: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS):
            module = str(Path(code.co_filename).relative_to(ROOT))
            steps.append((module, code.co_name))

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    entered = [
        module
        for (module, _), before in zip(steps, [("", ""), *steps], strict=False)
        if module != before[0]
    ]
    busiest, most = Counter(entered).most_common(1)[0]
    return Way(
        calls=len(steps),
        modules=len(set(entered)),
        changes=len(entered) - 1,
        most_entries=most,
        busiest=busiest,
        steps=tuple(f"{module}: {name}" for module, name in steps),
    )


@contextmanager
def flags() -> Iterator[None]:
    """One flag that asks for a segment, in a file."""
    flag = boolean_flag(KEY, rules=[segment_rule("employee")])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        path.write_text(json.dumps({"flags": {KEY: flag}}))
        given = {**settings.FEATUREFLAGS, "FLAG_FILE": str(path)}
        with override_settings(ALLOWED_HOSTS=["*"], FEATUREFLAGS=given):
            yield


def in_units(check: Callable[[], object]) -> Callable[[], object]:
    def work() -> object:
        with unit_of_work():
            return check()

    return work


def checks(user: User) -> dict[str, Way]:
    """A first check of a unit with everything warm, and a later one."""
    key = str(user.pk)
    request = RequestFactory().get("/")
    request.user = user
    ways = {
        "a check by key": lambda: evaluation.is_enabled(KEY, key),
        "a check of a loaded user": lambda: evaluation.is_enabled(KEY, user),
        "a check by request": lambda: evaluation.is_enabled(KEY, request=request),
    }
    found: dict[str, Way] = {}
    for name, check in ways.items():
        for _ in range(3):
            in_units(check)()
        with unit_of_work():
            found[name] = trace(check)
    with unit_of_work():
        evaluation.is_enabled(KEY, user)
        found["a later check"] = trace(lambda: evaluation.is_enabled(KEY, user))
    return found


def segment_saved(admin: User, key: str, **changes: object) -> Way:
    """The form of a segment, posted by an administrator."""
    segment = Segment.objects.get(key=key)
    client = Client(headers={"host": "localhost"})
    client.force_login(admin)
    form = {
        "key": segment.key,
        "name": segment.name,
        "description": "",
        "is_active": "on",
        "rules": json.dumps(segment.rules),
        "version": segment.version,
        "_save": "Save",
        **changes,
    }
    url = reverse("admin:featureflags_segment_change", args=[segment.pk])
    client.get(url)
    answers: list[Any] = []
    with queued_tasks():
        way = trace(lambda: answers.append(client.post(url, form)))
    if answers[0].status_code != 302:
        raise SystemExit(f"the segment was not saved: {answers[0].status_code}")
    return way


@contextmanager
def queued_tasks() -> Iterator[None]:
    """Tasks go into a queue, as where a worker runs: what it does then is a journey of its own."""
    current_app.conf.task_always_eager = False
    try:
        yield
    finally:
        current_app.conf.task_always_eager = True


def sizes_counted() -> Way:
    """What the worker does after a segment was saved: it counts who is in it now."""
    return trace(count_changed_segments.apply)


def warmed_up() -> Way:
    """One range of a warm-up, as a Celery worker does it."""
    run = begin(Scope(days=None)).run
    return trace(lambda: warm_range.apply(args=(run, 1)))


def journeys() -> dict[str, Way]:
    """By name."""
    domain = {"attribute": "email_domain", "op": "in", "values": ["agpt.co"]}
    Segment.objects.all().delete()
    for name in ("employee", "tester"):
        Segment.objects.create(key=name, name=name, rules=[{"clauses": [domain]}])
    user = user_kind().find(str(User.objects.create_user("ada@agpt.co", name="Ada").pk))
    admin = User.objects.create_superuser("root@agpt.co", "secret")
    if user is None:
        raise SystemExit("there is no user")
    with flags():
        found = checks(user)
        found["a segment saved in the admin"] = segment_saved(admin, "employee", name="Employees")
        rules = json.dumps([{"clauses": [{**domain, "values": ["agpt.co", "example.com"]}]}])
        found["rules saved in the admin"] = segment_saved(admin, "tester", rules=rules)
        found["its size counted by Celery"] = sizes_counted()
        found["a warm-up by Celery"] = warmed_up()
    return found


def main(file: str, show: str) -> None:
    call_command("migrate", verbosity=0)
    found = journeys()
    print(f"{'':<32} {'calls':>6} {'modules':>8} {'changes':>8}  entered most")
    for name, way in found.items():
        numbers = f"{way.calls:>6} {way.modules:>8} {way.changes:>8}"
        print(f"{name:<32} {numbers}  {way.busiest}, {way.most_entries} times")
        if show and show in name:
            print("\n".join(f"    {step}" for step in way.steps))
    if file:
        Path(file).write_text(
            json.dumps({name: asdict(way) for name, way in found.items()}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
