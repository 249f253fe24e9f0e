"""What `warming` runs once it has its servers: it fills the users, and measures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
import redis
from django.contrib.auth.models import Group
from django.db import connection

from featureflags.cache.entries import HEAD
from featureflags.models import Segment
from tests.benchmarks.filling import fill
from users.models import User

RUNS = 3
SIZES = (10_000, 100_000, 1_000_000)
SHORT_LIVED = {"SNAPSHOT_SECONDS": "3600"}
"""Entries that end soon after they were written: each run writes all of them anew."""
AIM_NAIVE, AIM_BY_HAND, AIM_BYTES = 15, 0.4, 300
CLIENT = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=300)
GROUPS = ("editors", "testers", "writers")
JOIN_GROUPS = """\
INSERT INTO users_user_groups (user_id, group_id)
SELECT u.id, g.id FROM users_user u, auth_group g WHERE hashtext(u.id::text || g.name) % 8 = 0
ON CONFLICT DO NOTHING"""
JOIN_SEGMENT = """\
INSERT INTO featureflags_segmentmember (segment_id, user_id, kind, reason, created_at)
SELECT %s, id, 'include', '', NOW() FROM users_user ORDER BY id LIMIT 1000
ON CONFLICT DO NOTHING"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One way to warm, with one number of users."""

    way: str
    state: str
    """Of the cache: cold (empty), warm (all is good) or old (all is there, and ends soon)."""
    processes: int
    users: int
    per_second: int
    peak_mib: float
    """Memory of the process that used most, since it started."""


class Warmer:
    """A process that starts a warm-up for each line that it reads."""

    def __init__(self, way: str, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.warmers", way],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("warm\n")
        self._process.stdin.flush()

    def end(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._line())
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line: str = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a warmer ended with {self._process.wait()}")
        return line


class Contestant:
    """One way in one or more processes, of which the best run counts."""

    def __init__(self, way: str, state: str, users: int, processes: int = 1) -> None:
        self.way, self.state, self.users = way, state, users
        environment = SHORT_LIVED if state == "old" else None
        self.warmers = [Warmer(way, environment) for _ in range(processes)]
        self.seconds = float("inf")
        self.peak_kib = 0
        self.done = 0

    def fill(self) -> None:
        """What a warm cache, or an old one, has been filled with."""
        CLIENT.flushdb()
        self.warmers[0].begin()
        self.warmers[0].end()

    def run(self) -> None:
        if self.state == "cold":
            CLIENT.flushdb()
        began = time.perf_counter()
        for warmer in self.warmers:
            warmer.begin()
        ends = [warmer.end() for warmer in self.warmers]
        took = time.perf_counter() - began
        self.done = max(end["written"] for end in ends)
        naive = "naive" in self.way
        expected = 0 if self.state == "warm" else self.users
        if not naive and self.done != expected:
            raise SystemExit(f"{self.way}, {self.state}: {self.done} written, not {expected}")
        self.seconds = min(self.seconds, took / (self.done / self.users if naive else 1))
        self.peak_kib = max(end["peak_kib"] for end in ends)

    def figure(self) -> Figure:
        for warmer in self.warmers:
            warmer.close()
        return Figure(
            way=self.way,
            state=self.state,
            processes=len(self.warmers),
            users=self.users,
            per_second=round(self.users / self.seconds),
            peak_mib=round(self.peak_kib / 1024, 1),
        )


def race(contestants: list[Contestant]) -> list[Figure]:
    """Each in turn, several times."""
    contestants[0].fill()
    for _ in range(RUNS):
        for contestant in contestants:
            contestant.run()
    return [contestant.figure() for contestant in contestants]


def prepare(users: int) -> None:
    """So many users, three groups that one in eight is in each, and a segment of 1,000 members."""
    fill(users)
    for name in GROUPS:
        Group.objects.get_or_create(name=name)
    segment = Segment.objects.get(key="employee")
    with connection.cursor() as cursor:
        cursor.execute(JOIN_GROUPS)
        cursor.execute(JOIN_SEGMENT, [segment.pk])
        cursor.execute("VACUUM ANALYZE")
    User.objects.order_by("pk").last()
    connection.close()


def check_that_both_write_the_same(users: int) -> None:
    """What is written by hand and what we write are the same bytes, but for the time."""
    found = []
    for way in ("by hand", "ours"):
        CLIENT.flushdb()
        warmer = Warmer(way)
        warmer.begin()
        warmer.end()
        warmer.close()
        names = sorted(CLIENT.scan_iter(match="guidon:f:1:u*", count=10_000))
        values: list[Any] = CLIENT.mget(names)
        found.append({name: value[HEAD:] for name, value in zip(names, values, strict=True)})
    if found[0] != found[1] or len(found[0]) != users:
        raise SystemExit("what is written by hand is not the same as ours")


def bytes_for_each(users: int) -> float:
    """Redis' memory for a warm user: key, value and expiry."""
    CLIENT.flushdb()
    before: int = CLIENT.info("memory")["used_memory"]
    warmer = Warmer("ours")
    warmer.begin()
    warmer.end()
    warmer.close()
    after: int = CLIENT.info("memory")["used_memory"]
    return round(float(after - before) / users, 1)


def main(users: int, file: str) -> None:
    figures: list[Figure] = []
    count = 0
    sizes = [*(size for size in SIZES if size < users), users]
    for size in sizes:
        prepare(size)
        count = User.objects.count()
        connection.close()
        if size == sizes[0]:
            check_that_both_write_the_same(count)
        figures += race(
            [
                Contestant("by hand", "cold", count),
                Contestant("ours", "cold", count),
                Contestant("ours", "cold", count, processes=2),
                *([Contestant("naive", "cold", count)] if size == sizes[-1] else []),
            ]
        )
        show(figures[-4:] if size == sizes[-1] else figures[-3:])
    for state in ("warm", "old"):
        figures += race([Contestant(way, state, count) for way in ("by hand", "ours")])
        show(figures[-2:])
    tell(figures, bytes_for_each(count), file)


def show(figures: list[Figure]) -> None:
    for figure in figures:
        print(
            f"{figure.users:>9,} users  {figure.state:<4}  {figure.way:<8} × {figure.processes}"
            f" {figure.per_second:>9,} a second {figure.peak_mib:>7} MiB",
            flush=True,
        )


def tell(figures: list[Figure], weight: float, file: str) -> None:
    largest = max(figure.users for figure in figures)

    def rate(way: str, state: str = "cold", processes: int = 1) -> int:
        [found] = [
            figure.per_second
            for figure in figures
            if (figure.users, figure.way, figure.state, figure.processes)
            == (largest, way, state, processes)
        ]
        return found

    peaks = [f.peak_mib for f in figures if (f.way, f.state, f.processes) == ("ours", "cold", 1)]
    ratios = {
        "naive": round(rate("ours") / rate("naive"), 1),
        "by_hand": round(rate("ours") / rate("by hand"), 2),
        "by_hand_warm": round(rate("ours", "warm") / rate("by hand", "warm"), 2),
        "by_hand_old": round(rate("ours", "old") / rate("by hand", "old"), 2),
        "second_worker": round(rate("ours", processes=2) / rate("ours"), 2),
        "peak_growth": round(peaks[-1] / peaks[0], 2),
    }
    allocator = CLIENT.info("memory")["mem_allocator"]
    print(f"ours to the naive loop: {ratios['naive']} (aim: {AIM_NAIVE} at least)")
    print(
        f"ours to the pipeline by hand: cold {ratios['by_hand']}, warm {ratios['by_hand_warm']},"
        f" old {ratios['by_hand_old']} (aim: {AIM_BY_HAND} at least)"
    )
    print(f"two workers to one: {ratios['second_worker']} (aim: above 1)")
    print(f"peak of memory, most users to fewest: {ratios['peak_growth']} (aim: 1)")
    print(f"Redis ({allocator}): {weight} bytes for each user (aim: {AIM_BYTES} at most)")
    if file:
        document = {
            "figures": [asdict(figure) for figure in figures],
            "ratios": ratios,
            "bytes_per_user": weight,
            "allocator": allocator,
        }
        Path(file).write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
