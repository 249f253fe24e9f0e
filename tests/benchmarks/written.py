"""The measuring itself, see `writes`: `python -m tests.benchmarks.written USERS FILE`."""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count as numbered
from pathlib import Path
from typing import Any

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management import call_command
from django.db import connection, connections
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from redis import Redis

from featureflags.cache import invalidation
from featureflags.capture import installation
from featureflags.evaluation.resolve import contexts_for, resolve
from users.models import User

BIG = 200_000
THREADS = 16
INSERT = """
INSERT INTO users_user (id, email, email_verified, name, role, metadata, created_at, is_active,
    is_staff, is_superuser, password)
SELECT gen_random_uuid(), 'u' || n || '@example.org', false, '', 'user', '{"plan": "pro"}', now(),
    true, false, false, CASE WHEN n <= 1000 THEN 'a' WHEN n <= 200000 THEN 'b' ELSE 'c' END
FROM generate_series(1, %s) AS n
"""
"""The column `password`, which nothing watches, says who is written together."""
LEAST = """
CREATE OR REPLACE FUNCTION least_trigger() RETURNS trigger LANGUAGE plpgsql AS $least$
BEGIN
    INSERT INTO featureflags_outboxevent (kind, keys) VALUES ('user', to_jsonb(ARRAY[NEW.id]));
    RETURN NULL;
END $least$;
CREATE OR REPLACE TRIGGER least_trigger AFTER UPDATE ON users_user
    FOR EACH ROW EXECUTE FUNCTION least_trigger()
"""
"""What no design with an outbox can do without: a trigger, and its row. It compares and says nothing."""

numbers = numbered()
redis = Redis.from_url(os.environ["REDIS_URL"])


def execute(sql: str, *values: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def fresh_name() -> str:
    return f"Name {next(numbers)}"


def save(user: User) -> None:
    user.name = fresh_name()
    user.save()


def save_as_django_does(user: User) -> None:
    user.name = fresh_name()
    AbstractBaseUser.save(user)


def save_at_least(user: User) -> None:
    """The floor: Django's save, the least trigger, and one bare round trip to Redis."""
    save_as_django_does(user)
    redis.unlink("nobody")


def update(groups: list[str]) -> Callable[[], object]:
    return lambda: User.objects.filter(password__in=groups).update(name=fresh_name())


def update_as_django_does(groups: list[str]) -> Callable[[], object]:
    rows: QuerySet[User] = QuerySet(User)
    return lambda: rows.filter(password__in=groups).update(name=fresh_name())


def timed(write: Callable[[], object], times: int) -> float:
    """The median of so many writes, in seconds: another process that wakes up must not count."""
    if times > 1:
        write()
    took = []
    for _ in range(times):
        started = time.perf_counter()
        write()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def install_the_least(_connection: object) -> None:
    execute(LEAST)


def compared(
    name: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    times: int,
    rounds: int,
    install: Callable[[Any], object] = installation.install,
) -> dict[str, float]:
    """Seconds of both sides, the best of some rounds in turns, and their ratio."""
    best = {"guidon": float("inf"), "django": float("inf")}
    for _ in range(rounds):
        installation.remove(connection)
        execute("DROP TRIGGER IF EXISTS least_trigger ON users_user")
        execute("VACUUM users_user")
        best["django"] = min(best["django"], timed(theirs, times))
        install(connection)
        execute("VACUUM users_user")
        best["guidon"] = min(best["guidon"], timed(ours, times))
    execute("DROP TRIGGER IF EXISTS least_trigger ON users_user")
    ratio = best["guidon"] / best["django"]
    both = f"{best['guidon'] * 1e3:10.2f} ms, Django's {best['django'] * 1e3:10.2f} ms"
    print(f"{name:>20}: {both}: {ratio:.2f}", flush=True)
    return {**best, "ratio": ratio}


def queries_of(keys: list[str]) -> int:
    with CaptureQueriesContext(connection) as queries:
        for key in keys:
            contexts_for([key])
    return sum("users_user" in query["sql"] for query in queries)


def new_epoch() -> dict[str, int]:
    """Threads that check each of 2,000 users after a new epoch has made them cold: their queries, and
    the most at once."""
    keys = [str(pk) for pk in User.objects.values_list("pk", flat=True)[:2_000]]
    invalidation.raise_epoch()
    seen, now, most, lock = 0, 0, 0, threading.Lock()

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal seen, now, most
        if 'FROM "users_user"' not in sql:
            return execute(sql, *rest)
        with lock:
            seen, now = seen + 1, now + 1
            most = max(most, now)
        try:
            return execute(sql, *rest)
        finally:
            with lock:
                now -= 1

    def check(mine: list[str]) -> None:
        with connection.execute_wrapper(count):
            for key in mine:
                resolve(key)
        connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(check, (keys[start::THREADS] for start in range(THREADS))))
    return {"users": len(keys), "queries": seen, "most at once": most}


def stampede() -> dict[str, int]:
    """Queries for users after a write of all of group b: of 500 others, and of 500 of them, twice."""
    changed = [
        str(pk) for pk in User.objects.filter(password="b").values_list("pk", flat=True)[:500]
    ]
    others = [
        str(pk) for pk in User.objects.filter(password="a").values_list("pk", flat=True)[:500]
    ]
    for key in changed + others:
        contexts_for([key])
    User.objects.filter(password="b").update(name=fresh_name())
    return {
        "others": queries_of(others),
        "changed": queries_of(changed),
        "changed, again": queries_of(changed),
    }


def main(users: int, file: str) -> None:
    call_command("migrate", verbosity=0)
    installation.remove(connection)
    execute(INSERT, users)
    execute("VACUUM ANALYZE users_user")
    user = User.objects.filter(password="a").first()
    assert user is not None
    few = User.objects.filter(pk=user.pk)
    few_as_django_does: QuerySet[User] = QuerySet(User)
    one = [
        compared(
            "the least for a save",
            lambda: save_at_least(user),
            lambda: save_as_django_does(user),
            100,
            20,
            install_the_least,
        ),
        compared("save of one", lambda: save(user), lambda: save_as_django_does(user), 100, 20),
        compared(
            "update of 1",
            lambda: few.update(name=fresh_name()),
            lambda: few_as_django_does.filter(pk=user.pk).update(name=fresh_name()),
            100,
            20,
        ),
        compared("update of 1,000", update(["a"]), update_as_django_does(["a"]), 5, 3),
    ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    big = update(["a", "b"]), update_as_django_does(["a", "b"])
    written = min(users, BIG)
    figures = [*one, compared(f"update of {written:,}", *big, 1, 2)]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    queries, epoch = stampede(), new_epoch()
    print(f"memory of the process grew by {grown:.0f} MB in the largest")
    print(f"queries after a write of {written - 1000:,} users: {queries}")
    print(f"after a new epoch, {THREADS} threads: {epoch}")
    if file:
        found = {"writes": figures, "memory_mb": grown, "queries": queries, "epoch": epoch}
        Path(file).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
