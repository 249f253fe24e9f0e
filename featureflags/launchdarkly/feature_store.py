"""The feature store of every client that receives flags from LaunchDarkly.

The SDK's own store takes a lock for each read, two of them for each evaluation. Here a writer
copies what it changes and puts the copy in the place of the old one, so that readers need no lock
and see each change as a whole. Through the SDK's public `FeatureStore` interface (data system v1).

Two more things that only a store can do happen here: overrides, and surviving malformed data. One
flag that the SDK cannot parse keeps it from ever starting; here the last good version of that flag
is kept, or that flag alone is missing.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ldclient.interfaces import DiagnosticDescription, FeatureStore
from ldclient.versioned_data_kind import FEATURES, SEGMENTS, VersionedDataKind

from featureflags.core.monitoring import report
from featureflags.core.times import now_in_microseconds
from featureflags.flags.overrides import in_force, overridden_flags
from featureflags.launchdarkly.override_store import overridden_everywhere, overridden_flag

logger = logging.getLogger(__name__)

NAMES: Mapping[VersionedDataKind, str] = {FEATURES: "flags", SEGMENTS: "segments"}

RawData: TypeAlias = dict[str, dict[str, Any]]
"""LaunchDarkly's JSON by key, under `flags` and `segments`: the shape of a flag file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Items:
    """Flags or segments as they stood at one moment. Nobody changes the dicts."""

    living: dict[str, Any] = field(default_factory=dict)
    """The SDK's objects by key."""
    deleted: dict[str, int] = field(default_factory=dict)
    """The versions at which others were deleted."""

    def version(self, key: str) -> int | None:
        item = self.living.get(key)
        if item is None:
            return self.deleted.get(key)
        version: int = item["version"]
        return version


def _whole(key: str, item: Any) -> tuple[str, Any]:
    """The same, without halves of surrogate pairs, which no page can show.

    They come from flag files: PyYAML, which the SDK reads them with, leaves the two escapes of an emoji in
    JSON apart. They are joined here; a half that is alone becomes U+FFFD.
    """
    if not isinstance(item, dict):
        return key, item
    text = json.dumps([key, item], ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        key, item = json.loads(joined)
    return key, item


def _same(item: Any) -> Any:
    return item


class CopyOnWriteStore(FeatureStore, DiagnosticDescription):
    """Flags and segments in memory: readers take no lock.

    `on_change` is called after each change, in the thread of the SDK that made it, and must not
    block.
    """

    def __init__(self, on_change: Callable[[], None] | None = None) -> None:
        self._items: dict[VersionedDataKind, _Items] = {FEATURES: _Items(), SEGMENTS: _Items()}
        self._initialized = False
        self._writing = threading.Lock()
        self._on_change = on_change
        self.changed_at: int | None = None
        """The instant (µs) of the last change that a source of flags made."""
        self.malformed: frozenset[str] = frozenset()
        """What the SDK could not parse, as `flags/KEY`, and holds in an older version or not."""

    # What the SDK's evaluator asks

    def get(self, kind: VersionedDataKind, key: str, callback: Callable[[Any], Any] = _same) -> Any:
        """The flag or segment, through the callback; the callback of None if there is none."""
        item = self._items[kind].living.get(key)
        if in_force and kind is FEATURES and key in (overrides := overridden_flags()):
            item = overridden_flag(key, overrides[key], item)
        return callback(item)

    def all(self, kind: VersionedDataKind, callback: Callable[[Any], Any] = _same) -> Any:
        """All of one kind by key, in a dict of the caller's own."""
        living = self._items[kind].living
        if kind is FEATURES:
            return callback(overridden_everywhere(living, overridden_flags()))
        return callback(dict(living))

    @property
    def initialized(self) -> bool:
        return self._initialized

    # What the SDK's sources of flags tell

    def init(self, all_data: Mapping[VersionedDataKind, Mapping[str, Any]]) -> None:
        """Hold these and nothing else, whatever their versions."""
        with self._writing:
            malformed: set[str] = set()
            items: dict[VersionedDataKind, _Items] = {
                kind: self._parsed(kind, all_data.get(kind, {}), malformed)
                for kind in (FEATURES, SEGMENTS)
            }
            self._items = items
            self._initialized = True
            self.malformed = frozenset(malformed)
        self._changed()

    def upsert(self, kind: VersionedDataKind, item: Any) -> None:
        """Hold the item, unless what is held is as new or newer."""
        with self._writing:
            malformed: set[str] = set()
            key, item = _whole(item["key"], item)
            parsed = self._parsed(kind, {key: item}, malformed)
            changed = self._put(kind, key, parsed.living.get(key) or _gone(parsed.deleted[key]))
            if changed:
                self.malformed = (self.malformed - {_named(kind, key)}) | malformed
        if changed:
            self._changed()

    def delete(self, kind: VersionedDataKind, key: str, version: int) -> None:
        """Remove it, unless what is held is as new or newer. Remembers the version."""
        with self._writing:
            changed = self._put(kind, key, _gone(version))
            if changed:
                self.malformed -= {_named(kind, key)}
        if changed:
            self._changed()

    # What we ask and tell

    def raw(self) -> RawData:
        """Everything as LaunchDarkly wrote it, without overrides. Not to be changed."""
        items = self._items
        return {
            NAMES[kind]: {key: item.to_json_dict() for key, item in items[kind].living.items()}
            for kind in (FEATURES, SEGMENTS)
        }

    def fill(self, raw: Mapping[str, Mapping[str, Any]]) -> None:
        """Start with what was last known, until the source delivers. Skips what is malformed."""
        with self._writing:
            if self._initialized:
                return
            self._items = {
                kind: self._parsed(kind, raw.get(NAMES[kind], {}), set())
                for kind in (FEATURES, SEGMENTS)
            }
            self._initialized = True

    def is_monitoring_enabled(self) -> bool:
        """For the SDK: memory does not fail."""
        return False

    def is_available(self) -> bool:
        return True

    def describe_configuration(self, config: object) -> str:  # noqa: ARG002 - the SDK's signature
        """For the SDK's diagnostic events."""
        return "memory"

    # Inside

    def _put(self, kind: VersionedDataKind, key: str, item: Any) -> bool:
        """Whether it was newer than what is held. The caller holds the lock."""
        items = self._items[kind]
        known = items.version(key)
        if known is not None and known >= item["version"]:
            return False
        self._items = {**self._items, kind: _with(items, key, item)}
        return True

    def _changed(self) -> None:
        self.changed_at = now_in_microseconds()
        if self._on_change is not None:
            self._on_change()

    def _parsed(
        self, kind: VersionedDataKind, raw: Mapping[str, Any], malformed: set[str]
    ) -> _Items:
        items = _Items()
        for key, item in (_whole(*each) for each in raw.items()):
            try:
                decoded = kind.decode(item)
            except Exception as error:  # noqa: BLE001 - whatever one item is, the others must hold
                malformed.add(_named(kind, key))
                decoded = self._healed(kind, key, item, error)
            if decoded.get("deleted"):
                items.deleted[key] = decoded["version"]
            else:
                items.living[key] = decoded
        return items

    def _healed(self, kind: VersionedDataKind, key: str, item: Any, error: Exception) -> Any:
        """The last good object in the place of an item that cannot be parsed, else a deleted one.

        The SDK parses the same dict once more after us, and would drop its connection. So what is
        held instead is written into it.
        """
        why = f"{type(error).__name__}: {error}"
        name = _named(kind, key)
        report(logger, f"malformed:{name}", "LaunchDarkly sent malformed %s: %s", name, why)
        last_good = self._items[kind].living.get(key)
        version = item.get("version") if isinstance(item, dict) else None
        if not isinstance(version, int):
            version = 0
        if last_good is None:
            instead = {"key": key, "version": version, "deleted": True}
        else:
            # Of the version that was sent: a change that is older still must not come through.
            instead = {**last_good.to_json_dict(), "version": version}
        if isinstance(item, dict):
            item.clear()
            item.update(instead)
        return kind.decode(instead)


def _with(items: _Items, key: str, decoded: Any) -> _Items:
    """The items with one change."""
    living, deleted = dict(items.living), dict(items.deleted)
    if decoded.get("deleted"):
        living.pop(key, None)
        deleted[key] = decoded["version"]
    else:
        living[key] = decoded
        deleted.pop(key, None)
    return _Items(living=living, deleted=deleted)


def _gone(version: int) -> dict[str, Any]:
    return {"deleted": True, "version": version}


def _named(kind: VersionedDataKind, key: str) -> str:
    return f"{NAMES[kind]}/{key}"
