"""Items of a feature store, as the SDK holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ldclient.feature_store import InMemoryFeatureStore
from ldclient.interfaces import FeatureStore
from ldclient.versioned_data_kind import FEATURES, VersionedDataKind

from featureflags.launchdarkly.feature_store import CopyOnWriteStore
from tests.services.flag_json import boolean_flag, segment

STORES: list[Callable[[], FeatureStore]] = [CopyOnWriteStore, InMemoryFeatureStore]
"""The SDK's own store must pass the same expectations, or they are not the SDK's."""


def item(kind: VersionedDataKind, key: str, version: int) -> dict[str, Any]:
    made = boolean_flag(key) if kind is FEATURES else segment(key)
    return {**made, "version": version}


def version_of(store: FeatureStore, kind: VersionedDataKind, key: str) -> int | None:
    held = store.get(kind, key, lambda found: found)
    return None if held is None else held["version"]
