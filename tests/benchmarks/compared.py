"""The same question, asked of other libraries: is this flag on for this user, an employee?

Import it after `django.setup()`.
"""

from __future__ import annotations

from typing import Any, Protocol

from cachetools import TTLCache
from django.test import override_settings
from flags.models import FlagState
from flags.state import flag_enabled
from ldclient import Context, LDClient
from waffle import get_waffle_flag_model

from tests.benchmarks.prepared import KEY
from tests.benchmarks.timing import Figure, Step, Timer
from users.models import User

DAY = 86_400
WaffleFlag: Any = get_waffle_flag_model()


class Asked(Protocol):
    user: User
    key: str
    sdk: LDClient
    context: Context
    timer: Timer


def peers(asked: Asked) -> dict[str, Figure]:
    """By library, and where it keeps its flags."""
    cached: TTLCache[str, Context] = TTLCache(maxsize=1_000, ttl=DAY)
    cached[asked.key] = asked.context

    def autogpt() -> object:
        return asked.sdk.variation(KEY, cached[asked.key], False)

    WaffleFlag.objects.create(name="by-user").users.add(asked.user)
    WaffleFlag.objects.create(name="by-group").groups.add(*asked.user.groups.all())
    FlagState.objects.create(name=KEY, condition="user", value=asked.user.email)

    class Request:
        user = asked.user

    def django_flags() -> object:
        return flag_enabled(KEY, request=Request())

    steps: dict[str, Step] = {"AutoGPT-style TTL cache, stale for 24 h": autogpt}
    found = asked.timer.best(steps)
    for cache, where in (("locmem", "memory"), ("stock-redis", "Django's Redis")):
        with override_settings(WAFFLE_CACHE_NAME=cache):
            found |= asked.timer.best(
                {
                    f"django-waffle, by users, {where}": lambda: _waffle("by-user", asked.user),
                    f"django-waffle, by group, {where}": lambda: _waffle("by-group", asked.user),
                }
            )
    return found | asked.timer.best({"django-flags, in the database": django_flags})


def _waffle(name: str, user: User) -> None:
    if WaffleFlag.get(name).is_active_for_user(user) is not True:
        raise SystemExit("waffle's flag is not on: nothing was measured")
