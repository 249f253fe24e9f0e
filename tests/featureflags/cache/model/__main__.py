"""Prints what the search finds."""

from __future__ import annotations

import sys
import time

from tests.featureflags.cache.model.scenarios import RULES, SCENARIOS
from tests.featureflags.cache.model.search import search

if __name__ == "__main__":
    for rule in sys.argv[1:]:
        scenario, says = RULES[rule]
        found = search(SCENARIOS[scenario], frozenset({rule}))
        print(f"without “{says}”, in “{scenario}”: {found}")
    if not sys.argv[1:]:
        for name, start in SCENARIOS.items():
            began = time.monotonic()
            print(f"{name}: {search(start)}, {time.monotonic() - began:.1f} s")
