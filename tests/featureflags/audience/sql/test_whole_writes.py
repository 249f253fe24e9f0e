"""A write is atomic: a reader in another process sees the old or the new version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from featureflags.cache.compiled_rules import current_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.kinds.registry import user_kind
from tests.featureflags.audience.sql.versions import ANSWERS, create_users, write_version
from tests.profiles import DEEP
from tests.services.processes import Piped, on_this_database
from users.models import User

SAVES = 1_000 if DEEP else 60
READS = 10_000 if DEEP else 600
ENDS_WITHIN = 120.0
SQL_EVERY = 20
"""One read in so many is a queryset; the others ask the compiled rules of this process."""


@contextmanager
def writer(key: str, saves: int) -> Iterator[Piped]:
    """Another process, which writes to the database of this test."""
    code = (
        f"from tests.featureflags.audience.sql.versions import *; write_versions({key!r}, {saves})"
    )
    with Piped(on_this_database(), "manage.py", "shell", "--no-imports", "-c", code) as process:
        assert process.read_line() == "writing\n"
        yield process
        assert process.wait(ENDS_WITHIN) == 0


@pytest.mark.django_db(transaction=True)
def test_every_answer_is_one_of_the_two_versions() -> None:
    create_users()
    write_version("turning", 1)
    people = {
        user.name: attributes_of(user, 0) for user in user_kind().snapshots(User.objects.all())
    }
    in_memory: Counter[frozenset[str]] = Counter()
    in_sql: Counter[frozenset[str]] = Counter()
    with writer("turning", SAVES) as process:
        while process.poll() is None or in_memory.total() + in_sql.total() < READS:
            if in_memory.total() % SQL_EVERY == 0:
                members = User.objects.in_segment("turning")
                in_sql[frozenset(members.values_list("name", flat=True))] += 1
            ruleset, now = current_ruleset().ruleset, now_in_microseconds()
            answer = (
                name
                for name, attributes in people.items()
                if ruleset.matches("turning", attributes, now=now)
            )
            in_memory[frozenset(answer)] += 1
    for answers in (in_memory, in_sql):
        assert set(answers) == set(ANSWERS), answers
