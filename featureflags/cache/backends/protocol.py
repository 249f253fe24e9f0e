"""What the cache protocol needs of a backend. Redis and files keep the same promises.

Every step is atomic for each name, against threads and processes:

    read      what is stored under these names; a lease is left where nothing was, if wanted
    swap      compare-and-swap: write only where exactly the seen bytes are stored
    publish   a swap that keeps the remaining lifetime
    remove    remove names, and then keep the ids of outbox rows that say so (they are *delivered*)
    take      take these ids away, and say which cache kept them (its identity)

The identity of a cache changes whenever its content may have changed behind our back: a restart, a
failover, an older image, another server. `featureflags/cache/protocol.py` compares it with the one in
the database.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar, runtime_checkable

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)

DELIVERED: Final = "delivered"
"""The name under which a cache keeps the ids of outbox rows."""

Swaps = Mapping[str, tuple[bytes, bytes]]
"""By name: the bytes that were seen, and the bytes to write in their place."""


class Reply(Protocol[Value_co]):
    """The reply to commands that were sent."""

    def result(self) -> Value_co:
        """Wait for it. Raises what the backend raises."""
        ...

    def is_ready(self) -> bool:
        """Whether `result` need not wait, or hardly: this waits a millisecond at most."""
        ...

    async def ready(self, seconds: float) -> bool:
        """Wait on the event loop until `result` need not wait; False: not within so many seconds."""
        ...

    def discard(self) -> None:
        """Discard a pending reply. Does nothing after `result`."""
        ...


@dataclass(frozen=True, slots=True)
class Done(Generic[Value]):
    """The reply of a backend that works at once."""

    value: Value

    def result(self) -> Value:
        return self.value

    def is_ready(self) -> bool:
        return True

    async def ready(self, _seconds: float) -> bool:
        return True

    def discard(self) -> None:
        """Nothing is pending."""


@runtime_checkable
class SharedCache(Protocol):
    """A Django cache backend that several processes share. Values are bytes. Seconds may be fractions."""

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        """What is stored under these names, in order."""
        ...

    def send_read(
        self, names: Sequence[str], to_lease: Sequence[str], lease: bytes, seconds: float
    ) -> Reply[list[bytes | None]]:
        """What is stored under `names`, then under `to_lease`, in order. Where nothing is stored
        under a name of the latter, `lease` is, for so long."""
        ...

    def lease_and_identify(self, name: str, lease: bytes, seconds: float) -> tuple[bytes, str]:
        """Lease one name; what is stored there then, and the identity of the cache: one round trip."""
        ...

    def send_swap(self, swaps: Swaps, seconds: float) -> Reply[int]:
        """Write, for so long, where the seen bytes are stored; how many were written."""
        ...

    def publish(self, name: str, seen: bytes, new: bytes) -> bool:
        """Swap one name and keep its remaining lifetime; whether it was written."""
        ...

    def remove(self, names: Collection[str], delivered: Collection[int] = ()) -> int:
        """Remove these names, and only then keep these ids; how many are kept, if any were given."""
        ...

    def take_delivered(self) -> tuple[list[int], str]:
        """Take away the ids that `remove` has kept; they, and the identity of the cache, which is read
        after that on the same connection."""
        ...

    def has_connection(self) -> bool:
        """Whether this thread can send a read without waiting."""
        ...

    def new_connection(self) -> Callable[[], None]:
        """Connect, in any thread; what is returned keeps the connection for its caller's thread."""
        ...
