"""What wants to hear of LaunchDarkly's changes: attached to each client of this process that sends events.

A client is made anew after a fork, and when a refused SDK key is tried again: what listens goes on.
Listeners are called in threads of the SDK and must not wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ldclient import LDClient
from ldclient.interfaces import DataSourceStatus, FlagChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """`on_state`: the SDK's state by name (VALID, INTERRUPTED, …); `on_flag`: the key of a flag that
    changed, itself or by what it depends on."""

    on_state: Callable[[str], None]
    on_flag: Callable[[str], None]


_listeners: list[Listener] = []


def add(listener: Listener, client: LDClient) -> None:
    """Listen to this client, and to those that follow it."""
    _listeners.append(listener)
    _attach(listener, client)


def remove(listener: Listener) -> None:
    """Nothing more is sent to it."""
    if listener in _listeners:
        _listeners.remove(listener)


def attach(client: LDClient) -> None:
    """Let everything that listens hear of this new client."""
    for listener in tuple(_listeners):
        _attach(listener, client)


def _attach(listener: Listener, client: LDClient) -> None:
    def state_changed(status: DataSourceStatus) -> None:
        if listener in _listeners:
            listener.on_state(status.state.name)

    def flag_changed(change: FlagChange) -> None:
        if listener in _listeners:
            listener.on_flag(change.key)

    client.data_source_status_provider.add_listener(state_changed)
    client.flag_tracker.add_listener(flag_changed)
