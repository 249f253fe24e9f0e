"""Each protection of the cache protocol switched off, one by one: the test that needs it fails.

docs/operators/never-stale.md has the same table for readers. `test_stress` does it with processes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from featureflags.cache import outbox, protocol, snapshot_store
from featureflags.cache.backends.protocol import Done, Swaps
from featureflags.cache.outbox import InForce
from featureflags.cache.snapshot_store import CacheRead, with_state
from featureflags.capture import installation, listeners, own_writes
from featureflags.core.database import IsCurrent
from featureflags.kinds.registry import user_kind
from featureflags.models import OutboxEvent
from tests.factories import UserFactory
from tests.featureflags.cache import test_identity as of_identity
from tests.featureflags.cache import test_protocol as of_protocol
from tests.featureflags.cache import test_renewal as of_renewal
from tests.featureflags.capture import test_lost_writes as of_writes

pytestmark = pytest.mark.django_db(transaction=True)

Patch = pytest.MonkeyPatch


@pytest.fixture
def snapshot() -> Any:
    return user_kind().snapshot_of(UserFactory.create())


@pytest.fixture(autouse=True)
def triggers_again() -> Iterator[None]:
    yield
    installation.install(connection)


def set_whatever_is_stored(patch: Patch) -> None:
    def swap(self: Any, swaps: Swaps, seconds: float) -> Done[int]:
        self.set_many({name: new for name, (_, new) in swaps.items()}, seconds)
        return Done(len(swaps))

    patch.setattr(type(snapshot_store.backend()), "send_swap", swap)


def add_where_nothing_is_stored(patch: Patch) -> None:
    backend = type(snapshot_store.backend())
    compare = backend.send_swap  # type: ignore[union-attr]

    def swap(self: Any, swaps: Swaps, seconds: float) -> Any:
        for name, (_, new) in swaps.items():
            self.add(name, new, seconds)
        return compare(self, swaps, seconds)

    patch.setattr(backend, "send_swap", swap)


def publish_for_a_whole_life(patch: Patch) -> None:
    def publish(self: Any, name: str, seen: bytes, new: bytes) -> bool:
        return bool(self.replace(name, seen, new, snapshot_store.VERSION_SECONDS))

    patch.setattr(type(snapshot_store.backend()), "publish", publish)


def publish_over_anything(patch: Patch) -> None:
    def publish(self: Any, name: str, _seen: bytes, new: bytes) -> bool:
        self.set(name, new, snapshot_store.VERSION_SECONDS)
        return True

    patch.setattr(type(snapshot_store.backend()), "publish", publish)


def do_not_get_again(patch: Patch) -> None:
    def again(found: CacheRead, version: str, epoch: int) -> CacheRead:
        return with_state(found, version=version, epoch=epoch)

    patch.setattr(protocol, "_again", again)


def use_any_cache(patch: Patch) -> None:
    def epoch_for(state: InForce, _identity: str) -> int:
        return state.epoch

    patch.setattr(protocol, "_epoch_for", epoch_for)


def delete_for_any_cache(patch: Patch) -> None:
    def delete(ids: Any, _identity: str) -> None:
        OutboxEvent.objects.filter(pk__in=ids).delete()

    patch.setattr(outbox, "delete", delete)


def do_not_look_at_the_epoch_again(patch: Patch) -> None:
    def has_notified(_epoch: int) -> bool:
        return protocol.notify_pending(protocol.NOTIFY_SECONDS)

    patch.setattr(protocol, "_has_notified", has_notified)


def read_no_outbox(patch: Patch) -> None:
    patch.setattr(protocol, "_has_notified", lambda _epoch: True)


def keep_any_row(patch: Patch) -> None:
    patch.setattr(IsCurrent, "as_sql", lambda *_, **__: ("1 = 1", ()))
    patch.setattr(IsCurrent, "as_postgresql", lambda *_, **__: ("1 = 1", ()))


def remove_the_triggers(_patch: Patch) -> None:
    installation.remove(connection)


def notify_before_the_commit(patch: Patch) -> None:
    for listener in (listeners._PsycopgListener, listeners._DjangoListener):
        patch.setattr(listener, "is_idle", lambda _self: True)


def notify_never(patch: Patch) -> None:
    patch.setattr(own_writes, "_committed", [])


def read_the_cache_in_spite_of_own_writes(patch: Patch) -> None:
    patch.setattr(protocol, "is_writing", lambda: False)


FILL, RENEW = of_protocol.TestFill, of_renewal.TestRenew
IDENTITY, OWN = of_identity.TestIdentity, of_identity.TestOwnWrites
CAUGHT: dict[Callable[[Patch], None], Callable[..., None]] = {
    set_whatever_is_stored: FILL().test_only_over_what_its_reader_saw,
    add_where_nothing_is_stored: FILL().test_never_where_nothing_is_stored,
    publish_for_a_whole_life: RENEW().test_the_four_seconds_count_from_before_the_query,
    publish_over_anything: RENEW().test_a_write_between_the_query_and_the_publication_is_not_lost,
    do_not_get_again: RENEW().test_entries_are_read_again_after_the_outbox_was_worked_through,
    read_no_outbox: RENEW().test_a_renewal_removes_what_a_dead_process_has_left,
    do_not_look_at_the_epoch_again: (
        RENEW().test_rows_that_another_cache_was_notified_of_are_not_known_to_this_one
    ),
    use_any_cache: IDENTITY().test_a_cache_that_the_database_does_not_know_begins_an_epoch,
    delete_for_any_cache: (
        IDENTITY().test_an_outbox_row_that_was_delivered_to_a_superseded_cache_alone_stays
    ),
    keep_any_row: of_protocol.TestIsCurrent().test_a_reader_in_an_older_snapshot_stores_nothing,
    remove_the_triggers: of_writes.test_a_write_of_another_program_is_seen_with_the_next_version,
    notify_before_the_commit: OWN().test_a_transaction_reads_its_own_writes_and_keeps_none,
    notify_never: of_writes.test_a_row_that_begins_to_match_just_before_the_update_is_removed_too,
    read_the_cache_in_spite_of_own_writes: (
        OWN().test_a_transaction_reads_its_own_writes_and_keeps_none
    ),
}


@pytest.mark.parametrize("switch_off", CAUGHT, ids=lambda each: each.__name__)
def test_a_test_fails_without_it(
    switch_off: Callable[[Patch], None],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    test = CAUGHT[switch_off]
    given = {name: request.getfixturevalue(name) for name in inspect.signature(test).parameters}
    switch_off(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(**given)
