"""What `checks` runs once it has its servers: it fills them, and measures."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from cachetools import TTLCache
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.core.management import call_command
from django.test import override_settings
from flags.models import FlagState
from flags.state import flag_enabled
from ldclient import Config, Context, LDClient
from ldclient.feature_store import InMemoryFeatureStore
from ldclient.integrations import Files
from waffle import get_waffle_flag_model

from featureflags import evaluation
from featureflags.cache import compiled_rules, context_memo, entries
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.building import row_context
from featureflags.contexts.results import ContextSource
from featureflags.core.conf import app_settings
from featureflags.core.times import now_in_microseconds
from featureflags.evaluation.resolve import contexts_for
from featureflags.kinds.registry import user_kind
from featureflags.launchdarkly import client as clients
from featureflags.models import Segment
from tests.benchmarks.matching import general
from tests.benchmarks.timing import REPEATS, Figure, Step, Timer, repeated
from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag, segment_rule
from users.models import User

KEY = "benchmark"
FLAG = boolean_flag(KEY, rules=[segment_rule("employee")])
DAY = 86_400
BATCH = 1_000
TYPICAL = 20
SIZES = (10, TYPICAL, 100, 1000)
AIMS = {
    "a later check, the SDK's own store": 1.1,
    "a later check": 1.0,
    "first check, loaded user, 20 segments": 6.0,
    "computing the context, 20 segments": 2.0,
    "first check by id, 20 segments": 10.0,
}

WaffleFlag: Any = get_waffle_flag_model()


def fill_segments(count: int) -> None:
    """That many segments: `employee`, which the flag asks for, and some of every kind."""
    Segment.objects.all().delete()
    domain = {"attribute": "email_domain", "op": "in", "values": ["agpt.co"]}
    Segment.objects.create(key="employee", name="employee", rules=[{"clauses": [domain]}])
    chance = random.Random(count)
    names = {"plan": "custom_plan", "country": "custom_country", "seats": "custom_seats"}
    for number in range(count - 1):
        clauses = [
            {
                "attribute": names.get(each.attribute, each.attribute),
                "op": each.op,
                "values": list(each.values),
            }
            for each in general(number, chance)
        ]
        Segment.objects.create(
            key=f"segment-{number}", name=f"{number}", rules=[{"clauses": clauses}]
        )


def new_user(number: int) -> User:
    user = User.objects.create_user(
        f"ada.{number}@agpt.co",
        name="Ada Lovelace",
        email_verified=True,
        metadata={"plan": "plan-7", "country": "country-3", "seats": 12, "locale": "en-GB"},
    )
    user.groups.add(Group.objects.get_or_create(name="staff")[0])
    found: User | None = user_kind().find(str(user.pk))
    assert found is not None
    return found


def default_client(flag_file: Path) -> LDClient:
    """The SDK as it comes: its own store, the same flags, no events."""
    source = Files.new_data_source(paths=[str(flag_file)])
    return LDClient(
        Config(
            "sdk-key",
            feature_store=InMemoryFeatureStore(),
            update_processor_class=source,
            send_events=False,
        )
    )


def in_a_unit(check: Step) -> Step:
    def work() -> None:
        with unit_of_work():
            check()

    return work


def object_rule(segment: str) -> dict[str, Any]:
    """A rule that is true of those whose object `segment` has this key."""
    clause = {"attribute": f"/segment/{segment}", "op": "in", "values": [True]}
    return {"variation": 1, "id": segment, "clauses": [{**clause, "contextKind": "user"}]}


class Benchmark:
    """One user, one flag, and each way to ask for it."""

    def __init__(self, flag_file: Path) -> None:
        self.timer = Timer(self.raw)
        self.user = new_user(0)
        self.key = str(self.user.pk)
        self.sdk = default_client(flag_file)
        self.context = contexts_for([self.key])[self.key].context
        for way in (self.raw, self.loaded, self.by_id):
            if way() is not True:
                raise SystemExit("the flag is not on: nothing was measured")

    def raw(self) -> object:
        return self.sdk.variation(KEY, self.context, False)

    def loaded(self) -> object:
        return evaluation.is_enabled(KEY, self.user)

    def by_id(self) -> object:
        return evaluation.is_enabled(KEY, self.key)

    @contextmanager
    def on_the_sdk_s_store(self) -> Iterator[None]:
        ours = clients.current_clients(start=True)
        assert ours is not None
        kept, ours.sending = ours.sending, self.sdk
        try:
            yield
        finally:
            ours.sending = kept

    def later(self) -> dict[str, Figure]:
        """A later check in a unit, on the SDK's own store and on ours, and the raw call."""

        many = repeated(self.loaded)

        def on_default() -> None:
            with self.on_the_sdk_s_store():
                many()

        with unit_of_work():
            self.loaded()
            return self.timer.best(
                {
                    "raw": repeated(self.raw),
                    "a later check, the SDK's own store": on_default,
                    "a later check": repeated(self.loaded),
                    "a later check by id": repeated(self.by_id),
                },
                per=REPEATS,
            )

    def first(self, segments: int) -> dict[str, Figure]:
        """The first check of a unit, and the part of it that is not the cache's."""
        fill_segments(segments)
        ruleset = compiled_rules.current_ruleset().ruleset

        def compute() -> object:
            snapshot = user_kind().snapshot_of(self.user)
            now = now_in_microseconds()
            return row_context(snapshot, ruleset, now, source=ContextSource.LOADED)

        def new_here() -> None:
            context_memo.forget()
            with unit_of_work():
                self.loaded()

        suffix = f", {segments} segments"
        return self.timer.best(
            {
                f"first check, loaded user{suffix}": in_a_unit(self.loaded),
                f"the same, a user new to the process{suffix}": new_here,
                f"computing the context{suffix}": compute,
                f"first check by id{suffix}": in_a_unit(self.by_id),
            }
        )

    def awaited(self) -> dict[str, Figure]:
        """The same checks, awaited on an event loop, and the ratio to the sync ones beside them."""
        loop = asyncio.new_event_loop()

        async def later() -> None:
            for _ in range(REPEATS):
                await evaluation.ais_enabled(KEY, self.user)

        async def first() -> None:
            for _ in range(REPEATS):
                with unit_of_work():
                    await evaluation.ais_enabled(KEY, self.user)

        sync_first = repeated(in_a_unit(self.loaded))
        loop.run_until_complete(first())
        found = self.timer.best(
            {
                "a first check, beside the next": sync_first,
                "a first check, awaited": lambda: loop.run_until_complete(first()),
            },
            per=REPEATS,
        )
        with unit_of_work():
            self.loaded()
            found |= self.timer.best(
                {
                    "a later check, beside the next": repeated(self.loaded),
                    "a later check, awaited": lambda: loop.run_until_complete(later()),
                },
                per=REPEATS,
            )
        loop.close()
        for which, most in (("first", 1.5), ("later", 1.3)):
            sync = found[f"a {which} check, beside the next"]
            there = found[f"a {which} check, awaited"]
            print(
                f"a {which} check awaited: {there.us / sync.us:.2f} x the sync one (at most {most})"
            )
        return found

    def by_tcp(self, suffix: str) -> dict[str, Figure]:
        """The first check where Redis is not at the end of a Unix socket."""
        own = {**settings.FEATUREFLAGS, "CACHE": "tcp"}
        with override_settings(FEATUREFLAGS=own):
            return self.timer.best(
                {
                    f"first check, loaded user, Redis by TCP{suffix}": in_a_unit(self.loaded),
                    f"first check by id, Redis by TCP{suffix}": in_a_unit(self.by_id),
                }
            )

    def across_cores(self) -> dict[str, Figure]:
        """The same, and Redis runs on another core; nothing where cores cannot be chosen."""
        if not hasattr(os, "sched_setaffinity"):
            return {}
        own, others = os.sched_getaffinity(0), set(range(os.cpu_count() or 1))
        os.sched_setaffinity(0, {max(others)})
        try:
            return self.by_tcp(" on another core") if {max(others)} != own else {}
        finally:
            os.sched_setaffinity(0, own)

    def shapes(self) -> dict[str, Figure]:
        """What LaunchDarkly's own evaluator makes of 100 segments and ten rules, none of which holds."""
        keys = [f"segment-{number}" for number in range(100)]
        asked = [f"other-{number}" for number in range(10)]
        context = (
            Context.builder("ada")
            .set("segments", keys)
            .set("segment", dict.fromkeys(keys, True))
            .build()
        )
        rules = {
            "list": [segment_rule(key) for key in asked],
            "object": [object_rule(key) for key in asked],
        }
        flags = [boolean_flag(name, rules=found) for name, found in rules.items()]
        with LaunchDarklyServer(*flags) as server, LDClient(server.sdk_config()) as sdk:
            return self.timer.best(
                {
                    f"the SDK, 100 segments x 10 rules, {name}": partial(
                        sdk.variation, name, context, False
                    )
                    for name in rules
                }
            )

    def cold(self) -> dict[str, Figure]:
        """By id where the cache knows nothing: one query, and the write into the cache."""
        name, cache = entries.name_of(self.key), caches[app_settings().cache]

        def check() -> None:
            cache.delete(name)
            with unit_of_work():
                self.by_id()

        return self.timer.best({"first check by id, cold: one query (and a delete)": check})

    def batch(self) -> dict[str, Figure]:
        keys = [str(new_user(number).pk) for number in range(1, BATCH + 1)]

        def ask() -> None:
            with unit_of_work():
                contexts_for(keys)

        return self.timer.best({"one context of a batch of 1,000 by id": ask}, per=BATCH)

    def peers(self) -> dict[str, Figure]:
        """The same question, asked of others: is this flag on for this user, an employee?"""
        cached: TTLCache[str, Context] = TTLCache(maxsize=1_000, ttl=DAY)
        cached[self.key] = self.context

        def autogpt() -> object:
            return self.sdk.variation(KEY, cached[self.key], False)

        WaffleFlag.objects.create(name="by-user").users.add(self.user)
        WaffleFlag.objects.create(name="by-group").groups.add(*self.user.groups.all())
        FlagState.objects.create(name=KEY, condition="user", value=self.user.email)

        class Request:
            user = self.user

        def django_flags() -> object:
            return flag_enabled(KEY, request=Request())

        steps: dict[str, Step] = {"AutoGPT-style TTL cache, stale for 24 h": autogpt}
        found = self.timer.best(steps)
        for cache, where in (("locmem", "memory"), ("stock-redis", "Django's Redis")):
            with override_settings(WAFFLE_CACHE_NAME=cache):
                found |= self.timer.best(
                    {
                        f"django-waffle, by users, {where}": lambda: self._waffle("by-user"),
                        f"django-waffle, by group, {where}": lambda: self._waffle("by-group"),
                    }
                )
        return found | self.timer.best({"django-flags, in the database": django_flags})

    def _waffle(self, name: str) -> None:
        if WaffleFlag.get(name).is_active_for_user(self.user) is not True:
            raise SystemExit("waffle's flag is not on: nothing was measured")


def measured(flag_file: Path) -> dict[str, Figure]:
    """By step."""
    call_command("migrate", verbosity=0)
    fill_segments(TYPICAL)
    benchmark = Benchmark(flag_file)
    gc.disable()
    figures = benchmark.later()
    for size in SIZES:
        figures |= benchmark.first(size)
    fill_segments(TYPICAL)
    figures |= benchmark.awaited()
    figures |= benchmark.by_tcp("") | benchmark.across_cores()
    figures |= benchmark.shapes()
    figures |= benchmark.cold() | benchmark.batch() | benchmark.peers()
    gc.enable()
    benchmark.sdk.close()
    clients.close()
    return figures


def main(file: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        flag_file = Path(folder) / "flags.json"
        flag_file.write_text(json.dumps({"flags": {KEY: FLAG}}))
        own = {**settings.FEATUREFLAGS, "FLAG_FILE": str(flag_file)}
        with override_settings(FEATUREFLAGS=own):
            figures = measured(flag_file)
    print(f"{'':<50} {'µs':>9} {'× raw':>8}  aim")
    for name, figure in figures.items():
        aim = f"at most {AIMS[name]:g}" if name in AIMS else ""
        print(f"{name:<50} {figure.us:>9.1f} {figure.ratio:>8.2f}  {aim}")
    if file:
        document = {name: asdict(figure) for name, figure in figures.items()}
        Path(file).write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
