"""What a write does to the caches, once it has committed.

    touched("user", keys)     these snapshots are old
    rules_touched()           segments or members have changed
    raise_epoch()             every entry is old

Within a transaction nothing outside of it changes before the commit. Its own reads go past the cache
meanwhile (`own_writes`), and a rollback leaves no trace.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from featureflags.cache import outbox, own_writes, protocol, snapshot_store
from featureflags.cache.compiled_rules import forget_recent
from featureflags.cache.entries import USER
from featureflags.cache.outbox import OutboxRow
from featureflags.cache.own_writes import OwnWrites
from featureflags.cache.protocol import raise_epoch, tell
from featureflags.cache.unit_of_work import current_unit
from featureflags.core.database import in_transaction, primary
from featureflags.models.versions import RulesetVersion

__all__ = [
    "announce_drop",
    "drop_ruleset_version",
    "drop_snapshots",
    "forget_in_unit",
    "raise_epoch",
    "rewrite_last_seen",
    "rules_touched",
    "tell",
    "touched",
]


def touched(
    kind: str,
    keys: Collection[str] | None,
    row_id: int | None = None,
    using: str | None = None,
) -> bool:
    """This connection has just written these rows; `keys` None: any of that kind.

    Within a transaction the cache is told after the commit, else at once. Whether it was told, or
    will be: if not, the outbox row `row_id` stays for the next reader that renews the version.
    """
    forget_in_unit(keys)
    row = OutboxRow(id=row_id, kind=kind, keys=None if keys is None else tuple(keys))
    alias = using or primary(RulesetVersion)
    if not in_transaction(alias):
        return tell([row])
    _own_writes(alias).rows.append(row)
    return True


def rules_touched() -> None:
    """Make every later unit of work read the version that was raised just now."""
    _forget_rules()
    alias = primary(RulesetVersion)
    if in_transaction(alias):
        _own_writes(alias).rules = True
    else:
        snapshot_store.remove_version()


def drop_snapshots(user_keys: Collection[str]) -> bool:
    """Forget these users; call it in the transaction of a write outside the ORM, or after its commit.

    Outside of a transaction it returns whether the cache was told; if not, it is told later. Hidden
    SQL: one insert, and one delete after the commit.
    """
    keys = list(user_keys)
    if not keys:
        return True
    if in_transaction(primary(RulesetVersion)):
        return touched(USER, keys, outbox.insert(keys).id)
    if touched(USER, keys):
        return True
    outbox.insert(keys)
    return False


def announce_drop(user_keys: Collection[str]) -> None:
    """Before a write that may have no transaction of its own: should this process die behind the
    write, others drop these users all the same."""
    keys = list(user_keys)
    if keys and not in_transaction(primary(RulesetVersion)):
        outbox.insert(keys)


drop_ruleset_version = rules_touched


def rewrite_last_seen(user_keys: Collection[str], last_seen_at: int) -> None:
    """Once committed, set `last_seen_at` (µs) in the cached snapshots, which stay otherwise."""
    keys = list(user_keys)
    alias = primary(RulesetVersion)
    if in_transaction(alias):
        row = outbox.insert(keys)

        def rewrite() -> None:
            identity = snapshot_store.rewrite_last_seen(keys, last_seen_at)
            if identity is not None and row.id is not None:
                outbox.delete([row.id], identity)

        transaction.on_commit(rewrite, using=alias, robust=True)
    elif snapshot_store.rewrite_last_seen(keys, last_seen_at) is None:
        outbox.insert(keys)


def forget_in_unit(keys: Collection[str] | None) -> None:
    """Ask anew for these users (None: for all) within the unit of work at hand."""
    unit = current_unit()
    if unit is not None:
        unit.forget_users(keys)


def _own_writes(alias: str) -> OwnWrites:
    writes = own_writes.of_transaction(_tell, alias)
    unit = current_unit()
    if unit is not None:
        unit.doubt(writes)
    return writes


def _tell(writes: OwnWrites) -> None:
    """After the commit of these writes."""
    if writes.rules:
        _forget_rules()
        snapshot_store.remove_version()
    for row in writes.rows:
        forget_in_unit(row.keys)
    if writes.rows:
        protocol.tell(writes.rows)


def _forget_rules() -> None:
    forget_recent()
    unit = current_unit()
    if unit is not None:
        unit.forget_ruleset()
