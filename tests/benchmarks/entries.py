"""Writing and reading one entry of the cache, as it is and encrypted (`ENTRY_KEYS`): the bytes alone, no server.

python -m tests.benchmarks.entries [--json FILE]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import time
import timeit
from collections.abc import Hashable
from pathlib import Path
from typing import cast

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.testing")
django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.conf import settings
from django.test import override_settings

from featureflags.cache.entries import decoder_of, encode
from featureflags.cache.sealing import seal, unseal
from featureflags.kinds.registry import user_kind
from users.models import User

RUNS = 50
TIMES = 2_000
KEY = base64.urlsafe_b64encode(bytes(32)).decode()


def figures() -> dict[str, float]:
    """Microseconds to write and to read one entry, and its bytes."""
    user = User(email="ada@agpt.co", name="Ada", metadata={"plan": "pro", "country": "DE"})
    user.__dict__["group_names"] = ("editors",)
    snapshot = user_kind().snapshot_of(user)
    key, until = str(user.pk), time.time_ns() // 1000 + 86_400_000_000
    decode = decoder_of(cast("Hashable", type(snapshot))).decode
    stored = seal(key, encode(until, 1, snapshot))

    def read() -> object:
        plain = unseal(key, stored)
        assert plain is not None
        return decode(plain)

    def best(do: object) -> float:
        return min(timeit.repeat(do, number=TIMES, repeat=RUNS)) / TIMES * 1e6  # type: ignore[arg-type]

    return {
        "write_us": best(lambda: seal(key, encode(until, 1, snapshot))),
        "read_us": best(read),
        "bytes": len(stored),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.entries", description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {"as it is": figures()}
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "ENTRY_KEYS": [KEY]}):
        found["encrypted"] = figures()
    for name, each in found.items():
        print(
            f"{name:10} write {each['write_us']:5.2f} µs   read {each['read_us']:5.2f} µs   {each['bytes']} bytes"
        )
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
