"""A short program that asks for a flag and ends: by itself, or (`wait`) when it is told to."""

from __future__ import annotations

import sys
import time

from tests.featureflags.launchdarkly.probes import value

if __name__ == "__main__":
    print("asked", value("counter", "short"), flush=True)
    if sys.argv[1:] == ["wait"]:
        time.sleep(600)
