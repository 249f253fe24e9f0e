"""Processes of their own that ask and write what a line of JSON says.

Each is forked by `python -m tests.featureflags.cache.probe`, reads `[name, arguments…]` and answers with one
line. Each question is a unit of work of its own, as a request would be.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO, Any

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import override_settings

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.core.conf import app_settings
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds.snapshot import Address
from featureflags.models import Segment, SegmentMember
from tests.featureflags.cache.switches import SWITCHES
from tests.featureflags.undelivered import undelivered
from tests.services.forking import fork_processes
from users.models import User

_stack = ExitStack()


def ask(key: str) -> dict[str, Any]:
    """What a check by id is answered from."""
    with unit_of_work():
        found = resolve(key)
    attributes = found.context.to_dict()
    return {
        "role": attributes.get("role"),
        "groups": attributes.get("groups"),
        "segments": list(found.segments),
        "source": str(found.source),
    }


def ask_all(keys: list[str]) -> dict[Address, Any]:
    """The roles of many, by key."""
    with unit_of_work():
        return {key: found.context.get("role") for key, found in contexts_for(keys).items()}


def names() -> dict[str, str]:
    """The segments as a list shows them: by django-cachalot."""
    return dict(Segment.objects.values_list("key", "name"))


def ask_often(key: str, times: int) -> int:
    """Ask so often within one unit, and once at least; how many answers there were."""
    with unit_of_work():
        return len([resolve(key) for _ in range(times)])


def set_role(key: str, role: str) -> None:
    User.objects.filter(pk=key).update(role=role)


def delete(key: str) -> None:
    User.objects.get(pk=key).delete()


def rename_group(name: str, new: str) -> None:
    group = Group.objects.get(name=name)
    group.name = new
    group.save()


def add_member(segment: str, key: str) -> None:
    SegmentMember.objects.create(segment=Segment.objects.get(key=segment), user_id=key)


def edit_segment(key: str, name: str, rules: list[Any]) -> None:
    segment = Segment.objects.get(key=key)
    segment.name, segment.rules = name, rules
    segment.save()


def die_behind_commit(name: str, *arguments: Any) -> None:
    """Do it, and be killed between the commit and all that was to follow it."""
    with transaction.atomic():
        transaction.on_commit(die)
        DOES[name](*arguments)


def die_behind_a_long_transaction(seconds: float, name: str, *arguments: Any) -> None:
    """The same, after a transaction in which others have time to read the old row."""
    with transaction.atomic():
        transaction.on_commit(die)
        DOES[name](*arguments)
        time.sleep(seconds)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def change_settings(**values: Any) -> None:
    """Settings of the app, from now on."""
    from django.conf import settings  # noqa: PLC0415 - set up above

    changed = {**settings.FEATUREFLAGS, **values}
    _stack.enter_context(override_settings(FEATUREFLAGS=changed))
    app_settings()


def pending() -> bool:
    return bool(undelivered())


def begin(level: str = "READ COMMITTED") -> None:
    """Open a transaction, and have its snapshot be of now."""
    atomic = transaction.atomic()
    atomic.__enter__()
    _transactions.append(atomic)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
    User.objects.exists()


def commit() -> None:
    _transactions.pop().__exit__(None, None, None)


def switch_off(name: str) -> None:
    """A protection of the protocol, in this process, for good."""
    SWITCHES[name]()


_transactions: list[transaction.Atomic] = []

DOES: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        *(ask, ask_all, ask_often, names, set_role, delete, rename_group, add_member),
        *(edit_segment, die_behind_commit, die_behind_a_long_transaction, change_settings),
        *(pending, begin, commit, switch_off),
    )
}


def serve(lines: IO[str], answers: IO[str]) -> None:
    for line in lines:
        name, arguments, options = json.loads(line)
        print(json.dumps(DOES[name](*arguments, **options)), file=answers, flush=True)


if __name__ == "__main__":
    fork_processes(serve)
