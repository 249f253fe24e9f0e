"""What `checks` runs once it has its servers: it fills them, and measures."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.conf import settings
from django.core.cache import caches
from django.core.management import call_command
from django.test import override_settings
from ldclient import Context, LDClient

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
from tests.benchmarks.compared import peers
from tests.benchmarks.prepared import (
    KEY,
    default_client,
    fill_segments,
    in_a_unit,
    new_user,
    object_rule,
)
from tests.benchmarks.timing import REPEATS, Figure, Timer, repeated
from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag, segment_rule

FLAG = boolean_flag(KEY, rules=[segment_rule("employee")])
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
    figures |= benchmark.cold() | benchmark.batch() | peers(benchmark)
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
