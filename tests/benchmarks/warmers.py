"""One process that warms in one way: `python -m tests.benchmarks.warmers WAY`.

It says `ready` when it has imported everything, warms for each line that it is given, and answers
with JSON: users read and written, and its peak of memory.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from functools import partial

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.conf import settings
from django.core.cache import caches

from featureflags.cache.entries import encode, name_of
from featureflags.kinds.registry import user_kind
from featureflags.warming.progress import report
from featureflags.warming.runs import begin
from featureflags.warming.scope import Scope
from featureflags.warming.worker import work_on
from tests.benchmarks.handwritten import Handwritten
from users.models import User

NAIVE_USERS = 10_000
EVERYBODY = Scope(days=None)
STOCK = {
    "BACKEND": "django.core.cache.backends.redis.RedisCache",
    "LOCATION": settings.CACHES["featureflags"]["LOCATION"],
}
Done = tuple[int, int]


def naive(alias: str) -> Callable[[], Done]:
    """Users as instances, with their groups, and a `cache.set` for each: the first thousands."""
    settings.CACHES["stock"] = STOCK
    cache = caches[alias]

    def warm() -> Done:
        count = 0
        users = User.objects.with_group_names().order_by("pk")[:NAIVE_USERS]
        for user in users.iterator(chunk_size=2_000):
            value = encode(0, 1, user_kind().snapshot_of(user))
            cache.set(name_of(str(user.pk)), value, 86_400)
            count += 1
        return count, count

    return warm


def ours() -> Done:
    """As `warm_contexts --all`, joined by the other process where there are two."""
    begun = begin(EVERYBODY)
    work_on(begun)
    ended = report(begun.run)
    if not ended.succeeded:
        raise SystemExit(str(ended))
    return ended.read, ended.written


def by_hand() -> Callable[[], Done]:
    warm = Handwritten(user_kind().fingerprint)
    return lambda: (0, warm())


def main(way: str) -> None:
    ways: dict[str, Callable[[], Callable[[], Done]]] = {
        "naive": partial(naive, "stock"),
        "by hand": by_hand,
        "ours": lambda: ours,
    }
    warm = ways[way]()
    print("ready", flush=True)
    for _ in sys.stdin:
        read, written = warm()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"read": read, "written": written, "peak_kib": peak}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
