"""Django's file cache, made fit for thousands of entries and for several processes.

Django's own scans its directory on every `set`, removes entries at random beyond 300, deletes a
fresh entry that replaced an expired one under its eyes, and its `add` is two steps. Here nothing
scans while writing; expired files go when `sweep` is called; and every writer of a shard holds a
lock on it, so that `add` and `replace` are atomic between processes. Readers take no lock: an
entry is written aside and renamed.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import pickle
import tempfile
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.filebased import FileBasedCache

logger = logging.getLogger(__name__)

UNREADABLE = (EOFError, pickle.UnpicklingError, zlib.error, AttributeError, ImportError)
"""What a file can raise that a crash cut short or another version of the code wrote."""


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
        with self._locked(path):
            self._write(path, value, timeout)

    def add(
        self,
        key: str,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        path = Path(self._key_to_file(key, version))
        with self._locked(path):
            if self._is_live(path):
                return False
            self._write(path, value, timeout)
        return True

    def replace(
        self, key: str, old: Any, new: Any, timeout: float | None, version: int | None = None
    ) -> bool:
        """Write `new` only where `old` stands now; say whether it was written. Atomic."""
        path = Path(self._key_to_file(key, version))
        with self._locked(path):
            try:
                if self._read(path) != old:
                    return False
            except KeyError:
                return False
            self._write(path, new, timeout)
        return True

    def read_many(self, keys: Collection[str]) -> dict[str, Any]:
        """The values of those that are there, by key."""
        return self.get_many(keys)

    def add_many(
        self, values: Mapping[str, Any], timeout: float | None, version: int | None = None
    ) -> int:
        """Write those that are not there; how many."""
        return sum(self.add(key, value, timeout, version) for key, value in values.items())

    def replace_many(
        self,
        values: Mapping[str, tuple[Any, Any]],
        timeout: float | None,
        version: int | None = None,
    ) -> int:
        """`replace` for each key (old and new value); how many were written."""
        return sum(
            self.replace(key, old, new, timeout, version) for key, (old, new) in values.items()
        )

    def touch(
        self,
        key: str,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        path = Path(self._key_to_file(key, version))
        with self._locked(path):
            try:
                value = self._read(path)
            except KeyError:
                return False
            self._write(path, value, timeout)
        return True

    def delete(self, key: str, version: int | None = None) -> bool:
        path = Path(self._key_to_file(key, version))
        with self._locked(path):
            live = self._is_live(path)
            path.unlink(missing_ok=True)
        return live

    def has_key(self, key: str, version: int | None = None) -> bool:
        return self._is_live(Path(self._key_to_file(key, version)))

    def clear(self) -> None:
        for path in self._entries():
            with self._locked(path):
                path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove expired and unreadable entries; return how many. For a schedule, not a request."""
        removed = 0
        for path in self._entries():
            if self._is_live(path):
                continue
            with self._locked(path):
                # A writer may have replaced it since.
                if not self._is_live(path):
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _key_to_file(self, key: str, version: int | None = None) -> str:
        name = self.make_and_validate_key(key, version=version)
        digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        return str(Path(self._dir) / digest[:2] / f"{digest}{self.cache_suffix}")

    def _read(self, path: Path) -> Any:
        """The value in a file; KeyError where there is none, or none that lives."""
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

    def _write(self, path: Path, value: Any, timeout: float | None) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, no path
                self._write_content(file, timeout, value)
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
        for shard in Path(self._dir).iterdir():
            if shard.is_dir():
                yield from sorted(shard.glob(f"*{self.cache_suffix}"))

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Hold the lock of the folder that `path` lies in, against threads and processes."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path.parent / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # A process that is forked meanwhile holds the descriptor too: closing ours alone
                # would leave the lock to it, for as long as it lives.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)
