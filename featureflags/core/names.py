"""Finds the addresses of a host in a time of ours: the resolver of the system knows none.

    addresses("db.internal", 5432, seconds=0.1)      ["10.0.0.7"], or TimeoutError

A name server that does not answer costs some ten seconds for each look-up, in C, where no deadline of a
connection holds. So a thread of its own looks, one for each host and port, and callers that ask meanwhile wait for
the same one: it never costs a second thread.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import Any, Final

from featureflags.core.fork_hooks import in_child


class _LookUp:
    """One look-up under way."""

    def __init__(self, host: str, port: int | None) -> None:
        self.found: list[str] = []
        self.error: OSError | None = None
        self.is_over = threading.Event()
        self._wanted = host, port

    def run(self) -> None:
        host, port = self._wanted
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self.found = list(dict.fromkeys(str(each[4][0]) for each in found))
        except OSError as error:
            self.error = error
        except UnicodeError:
            self.error = OSError("The name of the host is not valid.")
        finally:
            with _lock:
                _pending.pop(self._wanted, None)
            self.is_over.set()


_lock = threading.Lock()
_pending: Final[dict[tuple[str, int | None], _LookUp]] = {}


def addresses(host: str, port: int | None, *, seconds: float) -> list[str]:
    """The addresses, each once. Raises TimeoutError after so many seconds, and OSError without any."""
    with _lock:
        looking = _pending.get((host, port))
        if looking is None:
            looking = _pending[host, port] = _LookUp(host, port)
            threading.Thread(target=looking.run, name="guidon-names", daemon=True).start()
    if not looking.is_over.wait(max(0.0, seconds)):
        raise TimeoutError(f"no name server answered within {seconds:.2f} s")
    if looking.error is not None:
        raise looking.error
    return looking.found


def is_name(host: str) -> bool:
    """False for an address, the path of a socket and this machine: no name server is asked for these."""
    if host in {"", "localhost"} or host.startswith(("/", "@")):
        return False
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    return False


def looked_up_in_time(connection_class: type) -> type:
    """A connection class of redis-py, whose host is looked up within its time-out for a connection."""

    class Named(connection_class):  # type: ignore[misc]  # whatever is given
        def _connect(self) -> Any:
            host, seconds = str(getattr(self, "host", "")), self.socket_connect_timeout
            if seconds is not None and is_name(host):
                addresses(host, None, seconds=seconds)
            return super()._connect()

    return Named


def _begin_anew() -> None:
    global _lock  # noqa: PLW0603 - the thread that held it does not exist in the child
    _lock = threading.Lock()
    _pending.clear()


in_child(_begin_anew)
