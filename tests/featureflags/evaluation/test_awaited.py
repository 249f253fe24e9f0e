"""Awaited checks: the same answers, and no thread where no server has to be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import RequestFactory
from pytest_django.fixtures import Settings

from featureflags.cache import pending_reads, snapshot_store
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.results import ContextSource
from featureflags.evaluation import ais_enabled, avariation_detail, awaited, is_enabled
from featureflags.kinds.registry import user_kind
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


class Threads:
    """How often a thread was used."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        in_thread = awaited._in_thread

        async def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            return await in_thread(*arguments, **options)

        monkeypatch.setattr(awaited, "_in_thread", counted)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    return Threads(monkeypatch)


@pytest.fixture
def user(flag_file: FlagFile) -> User:
    flag_file(boolean_flag("beta", rules=[segment_rule("everybody")]))
    SegmentFactory.create(key="everybody", rules=[rule(clause("role", "in", "user"))])
    found: User | None = user_kind().find(str(UserFactory.create().pk))
    assert found is not None
    is_enabled("beta", str(found.pk))
    return found


async def connected(user: User) -> None:
    """The first check of the loop makes its connection, in a thread."""
    await ais_enabled("beta", str(user.pk))


async def test_a_warm_user_needs_no_thread(user: User, threads: Threads) -> None:
    await connected(user)
    threads.count = 0
    for subject in (user, str(user.pk), user.pk):
        with unit_of_work():
            detail = await avariation_detail("beta", subject, default=False)
            assert (detail.value, detail.degraded) == (True, ())
            assert detail.source in {ContextSource.CACHE, ContextSource.LOADED}
            assert await ais_enabled("beta", subject) is True
    assert threads.count == 0


async def test_what_the_cache_does_not_hold_goes_to_a_thread(user: User, threads: Threads) -> None:
    await connected(user)
    other = str((await sync_to_async(UserFactory.create)()).pk)
    threads.count = 0
    assert await ais_enabled("beta", other) is True
    assert threads.count == 1
    snapshot_store.remove_version()
    assert await ais_enabled("beta", str(user.pk)) is True
    assert threads.count == 2, "the version is read from the database"
    assert await ais_enabled("beta", str(user.pk)) is True
    assert threads.count == 2


async def test_a_user_without_groups_goes_to_a_thread(user: User, threads: Threads) -> None:
    await connected(user)
    bare = await sync_to_async(User.objects.get)(pk=user.pk)
    threads.count = 0
    assert await ais_enabled("beta", bare) is True
    assert threads.count == 1


async def test_a_request_whose_user_is_not_loaded(user: User, threads: Threads) -> None:
    from django.contrib.auth.models import AnonymousUser  # noqa: PLC0415 - beside its use

    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    with unit_of_work(request):
        assert await ais_enabled("beta", request=request) is False
    request.user = user
    await connected(user)
    threads.count = 0
    with unit_of_work(request):
        await ais_enabled("beta", request=request)
    assert threads.count == 0


async def test_it_sees_every_write(user: User) -> None:
    await connected(user)
    for role in ("admin", "user", "system"):
        await sync_to_async(User.objects.update)(role=role)
        with unit_of_work():
            context = await awaited.aresolve(str(user.pk), None, None)
        assert context.context.get("role") == role


async def test_many_at_once_have_one_answer_each(user: User) -> None:
    await connected(user)

    async def ask(subject: Any) -> str | None:
        with unit_of_work():
            return (await awaited.aresolve(subject, None, None)).context.key

    keys = [str(each.pk) for each in await sync_to_async(UserFactory.create_batch)(20)]
    assert await asyncio.gather(*map(ask, keys)) == keys
    assert await asyncio.gather(*map(ask, keys * 20)) == keys * 20


async def test_a_cache_that_does_not_answer_costs_the_loop_no_wait(
    user: User, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connected(user)
    monkeypatch.setattr(pending_reads, "SECONDS", 0.05)

    async def never(*_: Any) -> bool:
        await asyncio.sleep(0.05)
        return False

    reply = snapshot_store.backend().send_read(["x"], (), b"", 0)  # type: ignore[union-attr]
    assert reply.result() == [None]
    monkeypatch.setattr(type(reply), "is_ready", lambda _: False)
    monkeypatch.setattr(type(reply), "ready", never)
    threads.count = 0
    assert await ais_enabled("beta", str(user.pk)) is True
    assert threads.count == 1
    assert snapshot_store.is_paused()


@pytest.mark.usefixtures("user")
def test_each_loop_has_a_connection_of_its_own(settings: Settings) -> None:
    key = str(User.objects.get().pk)

    async def ask() -> bool:
        await ais_enabled("beta", key)
        return await ais_enabled("beta", key)

    runs: list[Callable[[], Any]] = [ask, ask]
    assert [asyncio.run(run()) for run in runs] == [True, True]
