"""Each write of a model that is not plain reaches the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from featureflags.cache import protocol
from featureflags.evaluation.resolve import contexts_for
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kinds
from tests.featureflags.kinds.unusual_models.writes import WRITES, Chance, world

pytestmark = pytest.mark.django_db(transaction=True)


def address(kind: CompiledKind, key: str) -> Any:
    return key if kind.name == "user" else (kind.name, key)


def fill() -> dict[Any, Any]:
    """Every row goes into the cache; who there is."""
    found: dict[Any, Any] = {}
    for kind in kinds():
        found |= {address(kind, row.key): row for row in kind.snapshots(kind.rows())}
    contexts_for(list(found))
    assert protocol.read(list(found)).fresh.keys() == found.keys()
    return found


def stale(known: dict[Any, Any]) -> dict[Any, Any]:
    """What the cache says of those who were in it, where the rows say something else."""
    stored: dict[Any, Any] = {}
    for kind in kinds():
        stored |= {address(kind, row.key): row for row in kind.snapshots(kind.rows())}
    fresh = protocol.read(list(known)).fresh
    return {row: value for row, value in fresh.items() if value != stored.get(row)}


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_each_write_is_seen_when_it_returns(write: Callable[[Chance], None]) -> None:
    world(3)
    chance = Chance(write.__name__)
    for in_transaction in (False, True):
        known = fill()
        if in_transaction:
            with transaction.atomic():
                write(chance)
        else:
            write(chance)
        assert stale(known) == {}


@pytest.mark.parametrize("seed", range(3))
def test_random_writes_one_after_another(seed: int) -> None:
    world(seed)
    chance = Chance(seed)
    for _ in range(30):
        known = fill()
        write = chance.choice(WRITES)
        write(chance)
        assert stale(known) == {}, write.__name__
