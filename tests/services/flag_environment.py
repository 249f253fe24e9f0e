"""The contents of one LaunchDarkly environment, and their messages in both protocols. No sockets.

Protocol v1 is `put`, `patch` and `delete`; v2 is `server-intent`, `put-object`, `delete-object`
and `payload-transferred`. Shapes as SDK 9.18 reads them (`datasource/streaming.py`,
`datasystem/protocolv2.py`).
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tests.services.flag_json import JsonObject

Kind = Literal["flag", "segment"]
Message = tuple[str, JsonObject]
"""The name of an event and its data."""

PAYLOAD_ID = "guidon"
BASIS = re.compile(r"\(p:guidon:(\d+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A flag or a segment in its current version; `data` is None once it is deleted."""

    kind: Kind
    key: str
    version: int
    data: JsonObject | None
    changed_in: int
    """The state number of the environment after this change."""


class FlagEnvironment:
    """Flags and segments, deleted ones included. Versions only rise. Not thread-safe."""

    def __init__(self) -> None:
        self.state = 1
        self._items: dict[tuple[Kind, str], Item] = {}

    def put(self, kind: Kind, data: JsonObject) -> Item:
        """Add or replace. The version rises; the one in `data` is ignored."""
        version = self._next_version(kind, data["key"])
        return self._record(kind, data["key"], version, {**copy.deepcopy(data), "version": version})

    def delete(self, kind: Kind, key: str) -> Item:
        return self._record(kind, key, self._next_version(kind, key), None)

    def items(self, since: int = 0) -> list[Item]:
        """The items that changed after the state `since`, oldest change first."""
        changed = (item for item in self._items.values() if item.changed_in > since)
        return sorted(changed, key=lambda item: item.changed_in)

    def all_data(self) -> JsonObject:
        """All items in the form of v1's `put` and poll."""
        living = [item for item in self.items() if item.data is not None]
        return {
            "flags": {item.key: item.data for item in living if item.kind == "flag"},
            "segments": {item.key: item.data for item in living if item.kind == "segment"},
        }

    def _next_version(self, kind: Kind, key: str) -> int:
        known = self._items.get((kind, key))
        return 1 if known is None else known.version + 1

    def _record(self, kind: Kind, key: str, version: int, data: JsonObject | None) -> Item:
        self.state += 1
        item = Item(kind=kind, key=key, version=version, data=data, changed_in=self.state)
        self._items[kind, key] = item
        return item


def v1_everything(environment: FlagEnvironment) -> list[Message]:
    return [("put", {"path": "/", "data": environment.all_data()})]


def v1_change(item: Item) -> list[Message]:
    path = f"/{item.kind}s/{item.key}"
    if item.data is None:
        return [("delete", {"path": path, "version": item.version})]
    return [("patch", {"path": path, "data": item.data})]


def v2_since(environment: FlagEnvironment, basis: str | None) -> list[Message]:
    """The messages for a client that has `basis`: nothing, some changes, or everything."""
    held = held_state(basis)
    if held == environment.state:
        return [v2_intent(environment, "none", "up-to-date")]
    if held is None or held > environment.state:
        intent = v2_intent(environment, "xfer-full", "payload-missing")
        items = [item for item in environment.items() if item.data is not None]
    else:
        intent = v2_intent(environment, "xfer-changes", "stale")
        items = environment.items(since=held)
    return [intent, *map(v2_object, items), v2_transferred(environment.state)]


def v2_change(item: Item) -> list[Message]:
    return [v2_object(item), v2_transferred(item.changed_in)]


def v2_intent(environment: FlagEnvironment, code: str, reason: str) -> Message:
    payload = {
        "id": PAYLOAD_ID,
        "target": environment.state,
        "intentCode": code,
        "reason": reason,
    }
    return "server-intent", {"payloads": [payload]}


def v2_object(item: Item) -> Message:
    named: JsonObject = {"kind": item.kind, "key": item.key, "version": item.version}
    if item.data is None:
        return "delete-object", named
    return "put-object", {**named, "object": item.data}


def v2_transferred(state: int) -> Message:
    data = {"id": PAYLOAD_ID, "state": f"(p:{PAYLOAD_ID}:{state})", "version": state}
    return "payload-transferred", data


def held_state(basis: str | None) -> int | None:
    """The state number in a selector of ours; None without a selector or for another's."""
    found = BASIS.fullmatch(basis or "")
    return int(found[1]) if found else None


def as_server_sent_events(messages: Iterable[Message]) -> bytes:
    return b"".join(
        f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in messages
    )


def as_poll(messages: Iterable[Message]) -> JsonObject:
    return {"events": [{"event": name, "data": data} for name, data in messages]}
