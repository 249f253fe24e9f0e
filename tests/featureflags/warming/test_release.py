"""A deploy that changes the snapshots' version: the new one warms while the old one serves."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from featureflags.contexts.results import ContextSource
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.registry import user_kind
from featureflags.models import WarmRun
from featureflags.warming.runs import begin
from featureflags.warming.worker import warm
from tests.featureflags.warming.people import EVERYBODY, as_stored, cached, crowd
from tests.services.processes import on_this_database
from tests.services.shell import running_shell
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

NEXT = "NEXT_"

NextRelease = Callable[[str], Any]
"""Runs a program and reads the JSON that it writes."""


@pytest.fixture(scope="module")
def next_release(django_db_setup: None) -> Iterator[NextRelease]:
    """The next release, on the database and the cache of these tests."""
    settings = "tests.featureflags.warming.next_release"
    with running_shell({**on_this_database(), "DJANGO_SETTINGS_MODULE": settings}) as shell:
        yield lambda program: json.loads(shell(program))


WARM = "from django.core.management import call_command; call_command('warm_contexts', '--all', '--json'{})"


def test_an_entry_of_the_next_release_is_a_miss_here_and_never_a_wrong_column(
    next_release: NextRelease,
) -> None:
    users = crowd(30)
    warm(EVERYBODY)
    first = next_release(WARM.format(""))
    second = next_release(WARM.format(""))
    assert (first["written"], first["kept"]) == (30, 0), "nothing of ours is of use to it"
    assert (second["written"], second["kept"]) == (0, 30), "and now all of it is there"
    assert cached(*users) == {}
    key = str(users[0].pk)
    assert resolve(key).source is ContextSource.DATABASE
    assert resolve(key).source is ContextSource.CACHE
    assert cached(users[0]) == as_stored(users[0])
    assert set(WarmRun.objects.values_list("snapshot_version", flat=True)) == {
        user_kind().fingerprint,
        NEXT,
    }


def test_runs_of_two_releases_do_not_block_each_other(next_release: NextRelease) -> None:
    crowd(3)
    ours = begin(EVERYBODY)
    theirs = next_release(WARM.format(", '--force'"))
    assert (theirs["state"], theirs["run"] != ours.run) == ("done", True)
    assert WarmRun.objects.get(pk=ours.run).state == WarmRun.State.RUNNING
    assert warm(EVERYBODY).run == ours.run


ASK = """\
import json
from featureflags.evaluation.resolve import resolve
print(json.dumps(resolve({key!r}).to_dict()))
"""


def seen_by(next_release: NextRelease, user: User) -> Any:
    """What a page of it knows of a user by key: from its cache, if that has them."""
    return next_release(ASK.format(key=str(user.pk)))


def test_what_this_release_writes_the_next_one_sees(next_release: NextRelease) -> None:
    """Both serve for a while: neither may keep what the other has replaced."""
    user, *_ = crowd(2)
    next_release(WARM.format(""))
    before = seen_by(next_release, user)
    assert (before["attributes"]["role"], before["source"]) == ("user", "cache")
    User.objects.filter(pk=user.pk).update(role="admin")
    assert seen_by(next_release, user)["attributes"]["role"] == "admin"


def test_a_new_last_seen_invalidates_the_next_release_too(next_release: NextRelease) -> None:
    user, *_ = crowd(1)
    next_release(WARM.format(""))
    User.objects.mark_seen(str(user.pk), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))
    after = seen_by(next_release, user)["attributes"]
    assert after["last_seen_at"] == "2026-01-02T00:00:00Z"
