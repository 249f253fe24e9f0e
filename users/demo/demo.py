"""Writes the people, segments and flags of the demo. What is there already stays as it is.

The demo itself is the project's: the module that `FEATUREFLAGS["DEMO"]` names. It holds
`DEMO_PEOPLE`, `DEMO_SEGMENTS`, `DEMO_PASSWORD` and `DEMO_FLAG_FILE`.
"""

from __future__ import annotations

import datetime
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from featureflags.core.conf import app_settings
from featureflags.models import Segment
from users.models import User


class Person(Protocol):
    """One account of the demo."""

    @property
    def email(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def days_old(self) -> int: ...
    @property
    def email_verified(self) -> bool: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...
    @property
    def is_superuser(self) -> bool: ...


class SegmentOfDemo(Protocol):
    """One segment of the demo; `rules` in LaunchDarkly's JSON."""

    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def rules(self) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the project's demo module says."""

    people: Sequence[Person]
    segments: Sequence[SegmentOfDemo]
    password: str
    flag_file: Path
    """LaunchDarkly's JSON, in the project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What was added; empty where everything was there."""

    people: tuple[str, ...]
    """E-mails."""
    segments: tuple[str, ...]
    flag_file: Path | None


def load_demo() -> Demo:
    """The project's demo. Raises ImproperlyConfigured without a demo, ImportError, or AttributeError
    for a name that its module lacks."""
    path = app_settings().demo
    if not path:
        raise ImproperlyConfigured('FEATUREFLAGS["DEMO"] names no module with a demo.')
    module = import_module(path)
    return Demo(
        people=module.DEMO_PEOPLE,
        segments=module.DEMO_SEGMENTS,
        password=module.DEMO_PASSWORD,
        flag_file=_root_of(module) / module.DEMO_FLAG_FILE,
    )


def _root_of(module: ModuleType) -> Path:
    """The folder that the module's top-level package lies in."""
    return Path(str(module.__file__)).resolve().parents[module.__name__.count(".")]


def seed(demo: Demo, password: str | None) -> Seeded:
    """Add what is missing: all of the rows, or, after an error, none.

    Without a `password` the added people cannot log in.
    """
    with transaction.atomic():
        people = [person.email for person in demo.people if _add_person(person, password)]
        segments = [segment.key for segment in demo.segments if _add_segment(segment)]
    return Seeded(
        people=tuple(people), segments=tuple(segments), flag_file=_add_flag_file(demo.flag_file)
    )


def _add_person(person: Person, password: str | None) -> bool:
    if User.objects.filter(email=person.email).exists():
        return False
    User.objects.create_user(
        person.email,
        password,
        name=person.name,
        role=person.role,
        email_verified=person.email_verified,
        metadata=dict(person.metadata),
        created_at=timezone.now() - datetime.timedelta(days=person.days_old),
        is_staff=person.is_superuser,
        is_superuser=person.is_superuser,
    )
    return True


def _add_segment(segment: SegmentOfDemo) -> bool:
    if Segment.objects.filter(key=segment.key).exists():
        return False
    Segment.objects.create(
        key=segment.key,
        name=segment.name,
        description=segment.description,
        rules=[dict(rule) for rule in segment.rules],
    )
    return True


def _add_flag_file(source: Path) -> Path | None:
    """Copy the flags to where the SDK reads them, atomically; None if the file exists."""
    wanted = app_settings().flag_file
    if app_settings().sdk_key or not wanted or Path(wanted).exists():
        return None
    target = Path(wanted)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as aside:
        aside.write(source.read_bytes())
    shutil.copymode(source, aside.name)
    return Path(aside.name).replace(target)
