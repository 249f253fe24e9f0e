"""Commands called as `manage.py` calls them: what they wrote, and how they ended."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from featureflags.models import Segment, SegmentMember
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    out: str
    error: str | None = None
    """The message of the CommandError that `manage.py` turns into exit code 1."""
    err: str = ""


Call = Callable[..., Ended]


@pytest.fixture
def call() -> Call:
    def run(name: str, *arguments: str, **options: Any) -> Ended:
        out, err = StringIO(), StringIO()
        error: str | None = None
        try:
            call_command(name, *arguments, stdout=out, stderr=err, **options)
        except CommandError as raised:
            error = str(raised)
        return Ended(out=out.getvalue(), error=error, err=err.getvalue())

    return run


UNTIL = timezone.now() + datetime.timedelta(days=9)


@pytest.fixture
def stored(db: None) -> None:
    Segment.objects.all().delete()
    beta = SegmentFactory.create(
        key="beta", rules=[rule(clause("custom_plan", "in", "pro", 1, True), description="Pro")]
    )
    SegmentFactory.create(
        key="wide", rules=[rule(clause("", "segmentMatch", "beta"))], description="All"
    )
    SegmentMemberFactory.create(segment=beta, user=UserFactory.create(email="in@example.com"))
    SegmentMemberFactory.create(
        segment=beta,
        user=UserFactory.create(email="out@example.com"),
        kind=SegmentMember.Kind.EXCLUDE,
    )


@pytest.fixture
def native(stored: None) -> None:
    SegmentFactory.create(
        key="known", rules=[rule(clause("custom_x", "exists", True))], is_active=False
    )
    SegmentMemberFactory.create(
        segment=Segment.objects.get(key="beta"), user=UserFactory.create(), expires_at=UNTIL
    )
