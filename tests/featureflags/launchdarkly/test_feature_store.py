"""The store keeps what the SDK expects of a store, in one thread and in many, also beside its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldclient.feature_store import InMemoryFeatureStore
from ldclient.interfaces import FeatureStore
from ldclient.versioned_data_kind import FEATURES, SEGMENTS, VersionedDataKind

from featureflags.launchdarkly.feature_store import CopyOnWriteStore
from tests.featureflags.launchdarkly.store_items import STORES, item, version_of
from tests.services.waiting import wait_until

KINDS = {"features": FEATURES, "segments": SEGMENTS}


@pytest.mark.parametrize("make", STORES)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
class TestExpectationsOfTheSdk:
    @pytest.fixture
    def store(self, make: Callable[[], FeatureStore], kind: VersionedDataKind) -> FeatureStore:
        store = make()
        store.init({kind: {"a": item(kind, "a", 10), "b": item(kind, "b", 10)}})
        return store

    def test_it_is_initialized_by_init_alone(
        self, make: Callable[[], FeatureStore], kind: VersionedDataKind
    ) -> None:
        store = make()
        states = [store.initialized]
        store.upsert(kind, item(kind, "a", 1))
        states.append(store.initialized)
        store.init({})
        assert [*states, store.initialized] == [False, False, True]
        assert store.all(kind, lambda found: found) == {}

    def test_init_replaces_everything_of_any_version(
        self, store: FeatureStore, kind: VersionedDataKind
    ) -> None:
        store.delete(kind, "b", 20)
        store.init({kind: {"b": item(kind, "b", 3), "c": item(kind, "c", 1)}})
        assert version_of(store, kind, "a") is None
        assert version_of(store, kind, "b") == 3
        assert version_of(store, kind, "c") == 1

    def test_get_passes_what_it_finds_through_the_callback(
        self, store: FeatureStore, kind: VersionedDataKind
    ) -> None:
        assert store.get(kind, "a", lambda found: found["key"]) == "a"
        assert store.get(kind, "none", lambda found: ("nothing", found)) == ("nothing", None)
        assert store.all(kind, sorted) == ["a", "b"]

    @pytest.mark.parametrize(("sent", "held"), [(9, 10), (10, 10), (11, 11)])
    def test_only_a_newer_version_is_taken(
        self, store: FeatureStore, kind: VersionedDataKind, sent: int, held: int
    ) -> None:
        store.upsert(kind, item(kind, "a", sent))
        assert version_of(store, kind, "a") == held

    def test_a_new_item_is_added(self, store: FeatureStore, kind: VersionedDataKind) -> None:
        store.upsert(kind, item(kind, "new", 1))
        assert version_of(store, kind, "new") == 1
        assert store.all(kind, sorted) == ["a", "b", "new"]

    @pytest.mark.parametrize(("sent", "held"), [(9, 10), (10, 10), (11, None)])
    def test_only_a_newer_version_is_deleted(
        self, store: FeatureStore, kind: VersionedDataKind, sent: int, held: int | None
    ) -> None:
        store.delete(kind, "a", sent)
        assert version_of(store, kind, "a") == held
        assert ("a" in store.all(kind, lambda found: found)) is (held is not None)

    def test_what_was_deleted_does_not_come_back_with_an_older_version(
        self, store: FeatureStore, kind: VersionedDataKind
    ) -> None:
        store.delete(kind, "a", 20)
        store.delete(kind, "unknown", 5)
        for key, version in (("a", 20), ("a", 11), ("unknown", 5), ("unknown", 4)):
            store.upsert(kind, item(kind, key, version))
            assert version_of(store, kind, key) is None
        store.upsert(kind, item(kind, "a", 21))
        assert version_of(store, kind, "a") == 21

    def test_an_item_that_is_marked_deleted_is_deleted(
        self, store: FeatureStore, kind: VersionedDataKind
    ) -> None:
        store.upsert(kind, {"key": "a", "version": 11, "deleted": True})
        store.init({kind: {"b": {"key": "b", "version": 1, "deleted": True}}})
        assert store.all(kind, lambda found: found) == {}
        assert version_of(store, kind, "b") is None

    def test_a_caller_s_dict_is_its_own(self, store: FeatureStore, kind: VersionedDataKind) -> None:
        store.all(kind, lambda found: found).clear()
        assert store.all(kind, sorted) == ["a", "b"]


changes = st.lists(
    st.tuples(
        st.sampled_from(["upsert", "delete", "init"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(min_value=0, max_value=4),
    ),
    max_size=12,
)


@given(changes)
def test_any_history_ends_as_in_the_sdk_s_own_store(
    history: list[tuple[str, str, int]],
) -> None:
    ours, theirs = CopyOnWriteStore(), InMemoryFeatureStore()
    for store in (ours, theirs):
        for change, key, version in history:
            if change == "upsert":
                store.upsert(FEATURES, item(FEATURES, key, version))
            elif change == "delete":
                store.delete(FEATURES, key, version)
            else:
                store.init({FEATURES: {key: item(FEATURES, key, version)}, SEGMENTS: {}})
    assert ours.all(FEATURES) == theirs.all(FEATURES, lambda found: found)
    assert ours.initialized == theirs.initialized
    for key in ("a", "b", "c"):
        assert version_of(ours, FEATURES, key) == version_of(theirs, FEATURES, key)


class TestManyThreads:
    def test_readers_see_each_change_as_a_whole_and_no_write_is_lost(self) -> None:
        """Every `init` holds 50 flags of one version: a reader that sees two saw half a change."""
        store = CopyOnWriteStore()
        keys = [f"flag-{number}" for number in range(50)]
        raw = {
            version: {key: item(FEATURES, key, version) for key in keys} for version in range(40)
        }
        store.init({FEATURES: raw[0], SEGMENTS: {}})
        ended = threading.Event()
        torn: list[set[int]] = []
        reads = [0, 0, 0]

        def read(index: int) -> None:
            while not ended.is_set():
                seen = {flag["version"] for flag in store.all(FEATURES).values()}
                reads[index] += 1
                if len(seen) > 1:
                    torn.append(seen)

        readers = [threading.Thread(target=read, args=(index,)) for index in range(3)]
        for reader in readers:
            reader.start()
        for version in range(1, 40):
            store.init({FEATURES: raw[version], SEGMENTS: {}})
        wait_until(lambda: all(reads), what="each reader to have read")
        ended.set()
        for reader in readers:
            reader.join()
        assert torn == []

    def test_what_a_reader_goes_through_does_not_change_under_it(self) -> None:
        """As `raw` does: a dict that grows meanwhile would raise."""
        store = CopyOnWriteStore()
        store.init({FEATURES: {"a": item(FEATURES, "a", 1)}, SEGMENTS: {}})
        reading = iter(store._items[FEATURES].living.items())
        store.upsert(FEATURES, item(FEATURES, "b", 1))
        store.delete(FEATURES, "a", 2)
        assert [key for key, _ in reading] == ["a"]
        assert list(store.raw()["flags"]) == ["b"]

    def test_writers_of_different_flags_lose_nothing_and_the_newest_wins(self) -> None:
        store = CopyOnWriteStore()
        store.init({})
        versions = range(1, 31)

        def write(number: int) -> None:
            for version in versions:
                store.upsert(FEATURES, item(FEATURES, f"own-{number}", version))
                store.upsert(FEATURES, item(FEATURES, "shared", version * 10 + number))
                store.delete(FEATURES, f"gone-{number}", version)

        writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        held = store.all(FEATURES)
        assert {key: flag["version"] for key, flag in held.items()} == {
            **{f"own-{number}": 30 for number in range(6)},
            "shared": 305,
        }
        store.upsert(FEATURES, item(FEATURES, "gone-3", 30))
        assert "gone-3" not in store.all(FEATURES)

    def test_a_reader_waits_for_no_writer(self) -> None:
        """A thread that was forked away, or is slow, in the middle of a write blocks nobody."""
        store = CopyOnWriteStore()
        store.init({FEATURES: {"a": item(FEATURES, "a", 1)}, SEGMENTS: {}})
        with store._writing:
            assert version_of(store, FEATURES, "a") == 1
            assert sorted(store.all(FEATURES)) == ["a"]
            assert store.initialized
