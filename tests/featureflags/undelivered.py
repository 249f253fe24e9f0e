"""Which writes no cache has been notified of."""

from __future__ import annotations

from featureflags.cache import outbox, protocol
from featureflags.cache.outbox import OutboxRow


def undelivered() -> list[OutboxRow]:
    """The rows of the outbox that the cache does not know; the others are deleted, as by a renewal."""
    protocol.delete_delivered()
    return outbox.pending()
