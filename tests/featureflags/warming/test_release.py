"""A deploy that changes the snapshots' version: the new one warms while the old one serves."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from featureflags.contexts.results import ContextSource
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.registry import user_kind
from featureflags.models import WarmRun
from featureflags.warming.runs import begin
from featureflags.warming.worker import warm
from tests.featureflags.warming.people import EVERYBODY, as_stored, cached, crowd
from tests.services.processes import manage, on_this_database
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

NEXT = "NEXT_"


def next_release(*arguments: str) -> Any:
    """A command of the next release, on the database and the cache of this test."""
    settings = "tests.featureflags.warming.next_release"
    env = {**on_this_database(), "DJANGO_SETTINGS_MODULE": settings}
    ended = manage(env, *arguments)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_an_entry_of_the_next_release_is_a_miss_here_and_never_a_wrong_column() -> None:
    users = crowd(30)
    warm(EVERYBODY)
    first = next_release("warm_contexts", "--all", "--json")
    second = next_release("warm_contexts", "--all", "--json")
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


def test_runs_of_two_releases_do_not_block_each_other() -> None:
    crowd(3)
    ours = begin(EVERYBODY)
    theirs = next_release("warm_contexts", "--all", "--force", "--json")
    assert (theirs["state"], theirs["run"] != ours.run) == ("done", True)
    assert WarmRun.objects.get(pk=ours.run).state == WarmRun.State.RUNNING
    assert warm(EVERYBODY).run == ours.run


ASK = """\
import json
from featureflags.evaluation.resolve import resolve
print(json.dumps(resolve({key!r}).to_dict()))
"""


def as_the_next_release_sees(user: User) -> Any:
    """What a page of it knows of a user by key: from its cache, if that has them."""
    return next_release("shell", "--no-imports", "-c", ASK.format(key=str(user.pk)))


def test_what_this_release_writes_the_next_one_sees() -> None:
    """Both serve for a while: neither may keep what the other has replaced."""
    user, *_ = crowd(2)
    next_release("warm_contexts", "--all", "--json")
    before = as_the_next_release_sees(user)
    assert (before["attributes"]["role"], before["source"]) == ("user", "cache")
    User.objects.filter(pk=user.pk).update(role="admin")
    assert as_the_next_release_sees(user)["attributes"]["role"] == "admin"


def test_a_new_last_seen_invalidates_the_next_release_too() -> None:
    user, *_ = crowd(1)
    next_release("warm_contexts", "--all", "--json")
    User.objects.mark_seen(str(user.pk), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))
    after = as_the_next_release_sees(user)["attributes"]
    assert after["last_seen_at"] == "2026-01-02T00:00:00Z"
