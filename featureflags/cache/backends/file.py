"""Django's file cache, made fit for thousands of entries and for several processes.

Django's own scans its folder on every `set`, removes entries at random beyond 300, may delete a
fresh entry that has just replaced an expired one, and its `add` is two steps. Here a write scans
nothing, expired files go when `sweep` is called, and every writer of a shard holds a lock on it: so
each step of the cache protocol is atomic between processes. Readers take no lock: an entry is
written aside and renamed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import tempfile
import time
import uuid
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.filebased import FileBasedCache

from featureflags.cache.backends.file_lock import locked
from featureflags.cache.backends.protocol import DELIVERED, Done, Swaps
from featureflags.core.outages import Server

logger = logging.getLogger(__name__)

DISK = Server("The disk of the cache")
IDENTITY_FILE = "identity"
UNREADABLE = (EOFError, pickle.UnpicklingError, zlib.error, AttributeError, ImportError)
"""What reading a file can raise that a crash cut short, or that another release wrote."""


class SharedFileCache(FileBasedCache):
    """A cache backend; `LOCATION` is its folder. Entries lie in 256 folders by their hash."""

    # Django's own, which its stubs leave out.
    _dir: str
    _write_content: Callable[[IO[bytes], float | None, Any], None]

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        try:
            return self._read(Path(self._key_to_file(key, version)))
        except KeyError:
            return default

    def set(
        self,
        key: str,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        path = Path(self._key_to_file(key, version))
        with locked(path):
            self._write(path, value, timeout)

    def add(
        self,
        key: str,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        path = Path(self._key_to_file(key, version))
        with locked(path):
            if self._is_live(path):
                return False
            self._write(path, value, timeout)
        return True

    def replace(
        self, key: str, old: Any, new: Any, timeout: float | None, version: int | None = None
    ) -> bool:
        """Write `new` only where `old` is stored now; whether it was written. Atomic."""
        path = Path(self._key_to_file(key, version))
        with locked(path):
            if self._read_or_none(path) != old:
                return False
            self._write(path, new, timeout)
        return True

    # The steps of the cache protocol, see `featureflags.cache.backends.protocol.SharedCache`.

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        return [self._read_or_none(self._path(name)) for name in names]

    def send_read(
        self, names: Sequence[str], to_lease: Sequence[str], lease: bytes, seconds: float
    ) -> Done[list[bytes | None]]:
        found = [self._read_or_none(self._path(name)) for name in names]
        leased = [self._lease(self._path(name), lease, seconds) for name in to_lease]
        return Done([*found, *leased])

    def lease_and_identify(self, name: str, lease: bytes, seconds: float) -> tuple[bytes, str]:
        identity = self.identity()
        return self._lease(self._path(name), lease, seconds), identity

    def send_swap(self, swaps: Swaps, seconds: float) -> Done[int]:
        found = (self.replace(name, seen, new, seconds) for name, (seen, new) in swaps.items())
        return Done(sum(found))

    def publish(self, name: str, seen: bytes, new: bytes) -> bool:
        path = self._path(name)
        with locked(path):
            if self._read_or_none(path) != seen:
                return False
            self._write(path, new, self._seconds_left(path))
        return True

    def remove(self, names: Collection[str], delivered: Collection[int] = ()) -> int:
        for file in map(self._key_to_file, names):
            # Nothing is stored under most names of a large write: then no lock is needed.
            if os.access(file, os.F_OK):
                path = Path(file)
                with locked(path):
                    path.unlink(missing_ok=True)
        if not delivered:
            return 0
        kept = Path(self._dir) / DELIVERED
        with locked(kept):
            with kept.open("a") as ids:
                ids.writelines(f"{each}\n" for each in delivered)
            return kept.read_bytes().count(b"\n")

    def take_delivered(self) -> tuple[list[int], str]:
        kept = Path(self._dir) / DELIVERED
        ids: list[int] = []
        if kept.exists():
            with locked(kept):
                # Another process may have taken them since.
                lines = kept.read_text().split() if kept.exists() else []
                kept.unlink(missing_ok=True)
            ids = [int(line) for line in lines]
        return ids, self.identity()

    def has_connection(self) -> bool:
        return True

    def new_connection(self) -> Callable[[], None]:
        return lambda: None

    def identity(self) -> str:
        """Which folder this is, and since when: another one, or a copy put back, differs."""
        path = Path(self._dir) / IDENTITY_FILE
        try:
            token = path.read_text()
        except FileNotFoundError:
            with locked(path):
                if not path.exists():
                    self._rename_into(path, lambda file: file.write(uuid.uuid4().hex.encode()))
            token = path.read_text()
        found = path.stat()
        # A copy that was put back brings the token, but not the file's number and change time.
        return f"{token}:{found.st_ino}:{found.st_ctime_ns}"

    def touch(
        self,
        key: str,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        path = Path(self._key_to_file(key, version))
        with locked(path):
            try:
                value = self._read(path)
            except KeyError:
                return False
            self._write(path, value, timeout)
        return True

    def delete(self, key: str, version: int | None = None) -> bool:
        path = Path(self._key_to_file(key, version))
        with locked(path):
            live = self._is_live(path)
            path.unlink(missing_ok=True)
        return live

    def has_key(self, key: str, version: int | None = None) -> bool:
        return self._is_live(Path(self._key_to_file(key, version)))

    def clear(self) -> None:
        for path in self._entries():
            with locked(path):
                path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove expired and unreadable entries; return how many. For a schedule, not a request."""
        removed = 0
        for path in self._entries():
            if self._is_live(path):
                continue
            with locked(path):
                # A writer may have replaced it since.
                if not self._is_live(path):
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _path(self, name: str) -> Path:
        return Path(self._key_to_file(name))

    def _key_to_file(self, key: str, version: int | None = None) -> str:
        name = self.make_and_validate_key(key, version=version)
        digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        # Text: a large write removes many thousand entries, and a Path costs ten times as much.
        return f"{self._dir}/{digest[:2]}/{digest}{self.cache_suffix}"

    def _read(self, path: Path) -> Any:
        """The value in a file; KeyError where there is none, or an expired one."""
        try:
            with path.open("rb") as file:
                if self._has_expired(file):
                    raise KeyError(path)
                return pickle.loads(zlib.decompress(file.read()))  # noqa: S301 - our own folder
        except FileNotFoundError:
            raise KeyError(path) from None
        except UNREADABLE as error:
            logger.warning("Unreadable cache file %s: %s", path, type(error).__name__)
            raise KeyError(path) from error

    def _read_or_none(self, path: Path) -> Any:
        try:
            return self._read(path)
        except KeyError:
            return None

    def _lease(self, path: Path, lease: bytes, seconds: float) -> bytes:
        """What is stored in this file; `lease` is stored where nothing is."""
        with locked(path):
            found: bytes | None = self._read_or_none(path)
            if found is None:
                try:
                    self._write(path, lease, seconds)
                except OSError as error:
                    # As if somebody had removed it: nothing is filled, and entries can still be read.
                    DISK.failed(error)
                else:
                    DISK.answered()
            return lease if found is None else found

    def _seconds_left(self, path: Path) -> float | None:
        with path.open("rb") as file:
            expiry = pickle.load(file)  # noqa: S301 - our own folder
        return None if expiry is None else float(expiry - time.time())

    def _write(self, path: Path, value: Any, timeout: float | None) -> None:
        self._rename_into(path, lambda file: self._write_content(file, timeout, value))

    @staticmethod
    def _rename_into(path: Path, write: Callable[[IO[bytes]], object]) -> None:
        """Write a file aside and rename it: a reader finds the old one or the new one, whole."""
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, no path
                write(file)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _is_live(self, path: Path) -> bool:
        try:
            with path.open("rb") as file:
                return not self._has_expired(file)
        except (FileNotFoundError, *UNREADABLE):
            return False

    def _has_expired(self, file: IO[bytes]) -> bool:
        # Unlike Django's, reading removes nothing: what is there may be new by now.
        expiry = pickle.load(file)  # noqa: S301 - our own folder
        return expiry is not None and expiry < time.time()

    def _entries(self) -> Iterator[Path]:
        with os.scandir(self._dir) as shards:
            folders = [shard.path for shard in shards if shard.is_dir()]
        for folder in folders:
            for name in sorted(os.listdir(folder)):  # noqa: PTH208 - half of the time of `Path.glob`
                if name.endswith(self.cache_suffix):
                    yield Path(folder, name)
