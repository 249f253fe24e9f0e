"""The events that the SDK sent to the events service. Thread-safe; no sockets."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from tests.services.flag_json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One request to the events service that was accepted."""

    path: str
    headers: Mapping[str, str]
    text: str
    """The body before compression: here a test looks for text that must not be sent."""
    events: list[JsonObject]
    """The array of `/bulk`, or the one diagnostic event."""


class EventRecorder:
    """Deliveries in the order of their arrival."""

    def __init__(self) -> None:
        self._deliveries: list[Delivery] = []
        self._arrived = threading.Condition()

    def record(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Keep one body, gzipped or not. Raises `ValueError` or `OSError` if it is not JSON."""
        raw = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        text = raw.decode()
        parsed = json.loads(text)
        events = parsed if isinstance(parsed, list) else [parsed]
        delivery = Delivery(path=path, headers=headers, text=text, events=events)
        with self._arrived:
            self._deliveries.append(delivery)
            self._arrived.notify_all()

    def deliveries(self, path: str = "/bulk") -> list[Delivery]:
        with self._arrived:
            return [delivery for delivery in self._deliveries if delivery.path == path]

    def events(self, kind: str | None = None, *, path: str = "/bulk") -> list[JsonObject]:
        """All events so far, or those of one kind (`index`, `summary`, `feature`, `custom`…)."""
        every = (event for delivery in self.deliveries(path) for event in delivery.events)
        return [event for event in every if kind is None or event.get("kind") == kind]

    def wait_for(
        self, count: int, timeout: float, kind: str | None = None, *, path: str = "/bulk"
    ) -> list[JsonObject]:
        """Wait until `count` events arrived, and return all. Raises `TimeoutError` after `timeout` s."""
        with self._arrived:
            enough = self._arrived.wait_for(
                lambda: len(self.events(kind, path=path)) >= count, timeout
            )
            found = self.events(kind, path=path)
        if not enough:
            raise TimeoutError(f"{len(found)} of {count} events ({kind or 'any kind'}): {found}")
        return found

    def clear(self) -> None:
        with self._arrived:
            self._deliveries.clear()
