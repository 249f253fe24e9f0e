"""Entries encrypted and authenticated, where `ENTRY_KEYS` names keys: AES-256-GCM.

    stored = head | bin32 | nonce (12 bytes) | ciphertext and tag of the snapshot

The head stays readable. It and the user's key are authenticated too, so that somebody who writes to the cache
can neither read an entry, nor change it, nor give it to another user, nor make an old one fresh again. The
first key encrypts, all of them decrypt: a new key is put in front, and the old one is removed after 8 days.
An entry that is not sealed, or is sealed by an unknown key, is ignored: the row is read from the database, and written
again.
"""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from django.core.signals import setting_changed

from featureflags.cache.entries import HEAD
from featureflags.core.conf import app_settings
from featureflags.core.extras import how_to_install
from featureflags.core.monitoring import report

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:  # a project without the extra
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True

logger = logging.getLogger(__name__)

BIN32: Final = b"\xc6"
"""MessagePack's mark of up to 4 GiB of bytes; four bytes of length follow."""
NONCE: Final = 12
START: Final = HEAD + 5
"""Where the nonce begins."""


@cache
def ciphers() -> Sequence[Any]:
    """One for each key, the one that encrypts first. Empty: entries are stored as they are."""
    keys = [base64.urlsafe_b64decode(key) for key in app_settings().entry_keys]
    return [AESGCM(key) for key in keys] if HAS_CRYPTOGRAPHY else []


def cannot_seal() -> bool:
    """Whether there are keys, and no package to use them: then nothing may be stored."""
    if HAS_CRYPTOGRAPHY or not app_settings().entry_keys:
        return False
    message = "ENTRY_KEYS needs the package cryptography: no snapshots are cached. %s"
    report(logger, "cache_cannot_seal", message, how_to_install("encryption"))
    return True


def seal(name: str, entry: bytes) -> bytes:
    """The entry of this name as it is stored."""
    found = ciphers()
    if not found:
        return entry
    sealed: bytes
    head, nonce = entry[:HEAD], os.urandom(NONCE)
    sealed = nonce + found[0].encrypt(nonce, entry[HEAD:], head + name.encode())
    return head + BIN32 + len(sealed).to_bytes(4, "big") + sealed


def unseal(name: str, stored: bytes) -> bytes | None:
    """The entry; None if it is not sealed, by none of our keys, or for another name or instant."""
    found = ciphers()
    if not found:
        return stored
    head, nonce = stored[:HEAD], stored[START : START + NONCE]
    for cipher in found if stored[HEAD : HEAD + 1] == BIN32 else ():
        try:
            snapshot: bytes = cipher.decrypt(nonce, stored[START + NONCE :], head + name.encode())
        except (InvalidTag, ValueError):
            continue
        return head + snapshot
    report(logger, "cache_not_sealed", "An entry of the cache is not sealed by one of ENTRY_KEYS.")
    return None


def _forget_keys(*, setting: str, **_: object) -> None:
    if setting == "FEATUREFLAGS":
        ciphers.cache_clear()


setting_changed.connect(_forget_keys, dispatch_uid="featureflags.cache.sealing")
