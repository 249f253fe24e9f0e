"""A unit that has ended is never used again, by whatever was started with a copy of its context."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest
from asgiref.sync import sync_to_async

from featureflags.cache.unit_of_work import UnitOfWork, current_unit, unit_of_work
from featureflags.evaluation.resolve import resolve
from tests.factories import UserFactory
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def role_of(key: str) -> object:
    return resolve(key).context.get("role")


def test_a_thread_with_a_copy_of_the_context() -> None:
    key = str(UserFactory.create().pk)
    with unit_of_work() as unit:
        assert role_of(key) == "user"
        copy = contextvars.copy_context()
        assert copy.run(current_unit) is unit, "while the unit lasts it is theirs too"
    User.objects.update(role="admin")
    seen: list[object] = []
    thread = threading.Thread(target=copy.run, args=(lambda: seen.append(current_unit()),))
    thread.start()
    thread.join()
    assert seen == [None]
    assert copy.run(role_of, key) == "admin"


def test_it_holds_nothing_any_more() -> None:
    with unit_of_work() as unit:
        context = resolve(str(UserFactory.create().pk))
    assert unit.recall(context.context.key) is None
    assert unit.request is None
    unit.keep(context.context.key, None, context)
    assert current_unit() is None


async def test_a_task_that_outlives_the_request() -> None:
    """As under ASGI: the task runs with a copy of the context of the request that started it."""
    key = str((await sync_to_async(UserFactory.create)()).pk)
    go = asyncio.Event()
    seen: list[UnitOfWork | None] = []

    async def later() -> object:
        await go.wait()
        seen.append(current_unit())
        return await asyncio.to_thread(role_in_thread, key)

    def role_in_thread(key: str) -> object:
        seen.append(current_unit())
        try:
            return role_of(key)
        finally:
            close_connections()

    with unit_of_work():
        assert await sync_to_async(role_of)(key) == "user"
        task = asyncio.create_task(later())
    await sync_to_async(User.objects.update)(role="admin")
    go.set()
    assert await task == "admin"
    assert seen == [None, None]


async def test_while_it_lasts_its_tasks_and_threads_share_it() -> None:
    async def ask() -> UnitOfWork | None:
        return current_unit()

    with unit_of_work() as unit:
        assert await asyncio.create_task(ask()) is unit
        assert await asyncio.to_thread(current_unit) is unit


def close_connections() -> None:
    from django.db import connections  # noqa: PLC0415 - of the thread that calls

    connections.close_all()
