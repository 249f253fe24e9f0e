"""A disk that takes nothing costs misses, never an error of a page and never an old entry."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from featureflags.cache.backends.file import DISK, SharedFileCache
from featureflags.cache.backends.surviving_file import SurvivingFileCache

LEASE = b"~lease"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing can be written from now on, until `undo`."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SharedFileCache, "_rename_into", staticmethod(refuse))
    DISK.forget()
    return monkeypatch


@pytest.fixture
def cache(tmp_path: Path) -> SurvivingFileCache:
    cache = SurvivingFileCache(str(tmp_path / "cache"), {})
    cache.set("there", 1)
    return cache


def test_what_a_page_works_without_is_a_miss(
    cache: SurvivingFileCache, full: pytest.MonkeyPatch
) -> None:
    assert cache.get("there") == 1
    assert not cache.add("new", 1)
    assert not cache.touch("there", 60)
    cache.set("there", 2)
    assert cache.get("there") is None, "what was stored is old now"
    assert DISK.outage is not None
    assert DISK.outage.failed == 3


def test_it_goes_on_when_there_is_room_again(
    cache: SurvivingFileCache, full: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        cache.set("a", 1)
    full.undo()
    cache.set("a", 1)
    assert cache.get("a") == 1
    assert DISK.outage is None
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_the_cache_of_snapshots_reports_what_it_could_not_write(
    tmp_path: Path, full: pytest.MonkeyPatch
) -> None:
    cache = SharedFileCache(str(tmp_path / "snapshots"), {})
    with pytest.raises(OSError, match="No space"):
        cache.set("a", 1)


def test_a_lease_that_could_not_be_stored_fills_nothing(
    tmp_path: Path, full: pytest.MonkeyPatch
) -> None:
    cache = SharedFileCache(str(tmp_path / "snapshots"), {})
    assert cache.send_read(["a"], ["a"], LEASE, 4).result() == [None, LEASE]
    assert DISK.outage is not None
    full.undo()
    assert cache.send_swap({"a": (LEASE, b"entry")}, 60).result() == 0
    assert not cache.publish("a", LEASE, b"1-x|1")
    assert cache.read(["a"]) == [None]
