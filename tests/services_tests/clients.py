"""The SDK's clients against the fake server."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ldclient.datasystem
from ldclient import Context, LDClient
from ldclient.config import DataSystemConfig

from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.waiting import PATIENCE_SECONDS, wait_until

EMPLOYEE = Context.builder("ada").set("segments", ["employee", "user"]).build()

USER = Context.builder("bob").set("segments", ["user"]).build()

ARRIVES = PATIENCE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A way in which the SDK gets its data."""

    name: str
    options: dict[str, Any]
    datasystem: Callable[[], DataSystemConfig] | None = None

    def config(self) -> dict[str, Any]:
        if self.datasystem is None:
            return self.options
        return {**self.options, "datasystem_config": self.datasystem()}


def fast_v2_polling() -> DataSystemConfig:
    polling = ldclient.datasystem.polling_ds_builder().poll_interval(0.05)
    return ldclient.datasystem.custom().synchronizers(polling).build()


STREAM_V1 = Source(name="stream v1", options={})

STREAM_V2 = Source(
    name="stream v2", options={}, datasystem=lambda: ldclient.datasystem.streaming().build()
)

DEFAULT_V2 = Source(
    name="default v2", options={}, datasystem=lambda: ldclient.datasystem.default().build()
)

POLL_V2 = Source(name="poll v2", options={}, datasystem=fast_v2_polling)

STREAMING = [STREAM_V1, STREAM_V2, DEFAULT_V2]

SOURCES = [*STREAMING, POLL_V2]


@contextmanager
def client_of(server: LaunchDarklyServer, wait: float = 10.0, **options: Any) -> Iterator[LDClient]:
    client = LDClient(server.sdk_config(**options), start_wait=wait)
    try:
        yield client
    finally:
        client.close()


def await_value(client: LDClient, key: str, context: Context, expected: object) -> None:
    wait_until(
        lambda: client.variation(key, context, None) == expected,
        timeout=ARRIVES,
        what=f"{key} to be {expected!r}",
    )


def poll(server: LaunchDarklyServer, etag: str | None = None) -> tuple[int, str | None]:
    headers = {"Authorization": server.sdk_key, **({"If-None-Match": etag} if etag else {})}
    request = urllib.request.Request(f"{server.url}/sdk/latest-all", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.headers["ETag"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["ETag"]
