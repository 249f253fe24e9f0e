"""The file cache: atomic between processes, and never slowed by what lies in it."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from featureflags.cache.backends.file import SharedFileCache
from featureflags.cache.backends.file_lock import locked
from tests.services.waiting import PATIENCE_SECONDS


@pytest.fixture
def cache(tmp_path: Path) -> SharedFileCache:
    return SharedFileCache(str(tmp_path / "cache"), {})


class TestAsDjangosCache:
    def test_values_come_back_until_they_expire(self, cache: SharedFileCache) -> None:
        cache.set("a", {"x": [1, None]}, 60)
        cache.set("none", None)
        cache.set("gone", 1, 0)
        assert cache.get("a") == {"x": [1, None]}
        assert cache.get("none", "default") is None
        assert cache.get("gone", "default") == "default"
        assert cache.get_many(["a", "none", "gone", "never"]) == {
            "a": {"x": [1, None]},
            "none": None,
        }

    def test_another_instance_sees_them(self, cache: SharedFileCache, tmp_path: Path) -> None:
        cache.set("a", 1)
        assert SharedFileCache(str(tmp_path / "cache"), {}).get("a") == 1

    def test_add_only_adds(self, cache: SharedFileCache) -> None:
        assert cache.add("a", 1)
        assert not cache.add("a", 2)
        assert cache.get("a") == 1
        cache.set("a", 1, 0)
        assert cache.add("a", 3), "an expired entry is none"
        assert cache.get("a") == 3

    def test_touch_delete_has_key_clear(self, cache: SharedFileCache) -> None:
        cache.set("a", 1, 60)
        assert cache.touch("a", 0)
        assert not cache.has_key("a")
        assert not cache.touch("a", 60)
        assert not cache.delete("a")
        cache.set("b", 1)
        assert cache.delete("b")
        cache.set("c", 1)
        cache.clear()
        assert cache.get("c") is None

    def test_replace_writes_only_over_what_was_expected(self, cache: SharedFileCache) -> None:
        assert not cache.replace("a", b"old", b"new", 60)
        cache.set("a", b"old")
        assert not cache.replace("a", b"other", b"new", 60)
        assert cache.replace("a", b"old", b"new", 60)
        assert cache.get("a") == b"new"

    def test_a_broken_file_is_a_miss(self, cache: SharedFileCache, tmp_path: Path) -> None:
        cache.set("a", 1)
        [path] = (tmp_path / "cache").rglob("*.djcache")
        for broken in (b"", b"\x80\x05", path.read_bytes()[:-3]):
            path.write_bytes(broken)
            assert cache.get("a", "default") == "default"
            assert cache.add("a", 2) or cache.get("a", "default") == "default"
            cache.set("a", 3)
            assert cache.get("a") == 3


class TestNothingScans:
    def test_a_set_lists_no_directory_however_many_entries_there_are(
        self, cache: SharedFileCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Django's own scans on each `set`, which took 30 ms at 20,000 entries."""
        for number in range(20_000):
            cache.set(f"key-{number}", number)
        assert sum(1 for _ in cache._entries()) == 20_000, "nothing was culled at random"
        listed: list[Any] = []

        def note(path: Any = ".") -> Iterator[Any]:
            listed.append(path)
            return real_scandir(path)

        real_scandir = os.scandir
        monkeypatch.setattr(os, "scandir", note)
        monkeypatch.setattr(os, "listdir", lambda path=".": note(path))
        cache.set("one-more", 1)
        cache.add("another", 1)
        cache.replace("another", 1, 2, 60)
        cache.delete("another")
        assert cache.get("one-more") == 1
        assert listed == []

    def test_expired_entries_go_when_swept_and_the_others_stay(
        self, cache: SharedFileCache, tmp_path: Path
    ) -> None:
        cache.set("stays", 1, 60)
        cache.set("for-ever", 1, None)
        for number in range(10):
            cache.set(f"expired-{number}", 1, 0)
        assert cache.sweep() == 10
        assert len(list((tmp_path / "cache").rglob("*.djcache"))) == 2
        assert cache.get("stays") == cache.get("for-ever") == 1

    def test_reading_an_expired_entry_removes_nothing(
        self, cache: SharedFileCache, tmp_path: Path
    ) -> None:
        """What has taken its place meanwhile would go with it."""
        cache.set("a", 1, 0)
        assert cache.get("a") is None
        assert list((tmp_path / "cache").rglob("*.djcache"))


def _add_all(directory: str, name: str, start: Any, results: Any) -> None:
    cache = SharedFileCache(directory, {})
    start.wait()
    results.put([number for number in range(300) if cache.add(f"key-{number}", name)])


class TestBetweenProcesses:
    def test_of_two_who_add_one_succeeds(self, tmp_path: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        start, results = spawn.Barrier(3), spawn.Queue()
        workers = [
            spawn.Process(target=_add_all, args=(str(tmp_path / "c"), name, start, results))
            for name in ("a", "b")
        ]
        for worker in workers:
            worker.start()
        start.wait(timeout=60)
        added = [results.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join(timeout=60)
        assert sorted(added[0] + added[1]) == list(range(300))

    def test_a_reader_never_sees_half_an_entry(self, cache: SharedFileCache) -> None:
        values = ["a" * 50_000, "b" * 50_000]
        cache.set("key", values[0])
        seen: set[str] = set()
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                seen.add(cache.get("key", "missing"))

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends and not seen >= set(values):
            for value in values * 20:
                cache.set("key", value)
        stop.set()
        for reader in readers:
            reader.join()
        assert seen == set(values)


def test_a_process_that_is_forked_in_the_middle_of_a_write_keeps_no_lock(
    cache: SharedFileCache,
) -> None:
    """It inherits the descriptor: without care nobody could write there for as long as it lives."""
    path = Path(cache._key_to_file("a"))
    reading, writing = os.pipe()
    with locked(path):
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    try:
        with (path.parent / ".lock").open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        cache.set("a", 1)
    finally:
        os.close(writing)
        os.waitpid(pid, 0)
        os.close(reading)
    assert cache.get("a") == 1
