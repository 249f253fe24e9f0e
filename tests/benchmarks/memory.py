"""The memory of one process that answers flags for many different users, one unit of work each.

    python -m tests.benchmarks.memory [--users 20000] [--json FILE]

The database is SQLite, the cache is in files, and events go to a LaunchDarkly on loopback. Every bounded
memory of the process is full after the first half: the contexts that are remembered, and the keys that the
SDK remembers as sent. From then on the resident set must not grow. Exit code 1 if it grows by more than 3 %.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag
from tests.services.processes import ROOT, run_python
from tests.services.variables import of_embedded

QUARTERS: Final = 4
MOST_GROWTH: Final = 1.03
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

WORKER = """
import sys, django
django.setup()
from tests.benchmarks.memory import answer_all
answer_all(int(sys.argv[1]))
"""


def resident_megabytes() -> float:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * PAGE_BYTES / 1e6


def answer_all(number: int) -> None:
    """In the worker: prints the resident set after each quarter."""
    # Django must be set up before models can be imported, so this process imports them here.
    from django.contrib.auth import get_user_model  # noqa: PLC0415

    from featureflags.cache.unit_of_work import unit_of_work  # noqa: PLC0415
    from featureflags.evaluation import is_enabled  # noqa: PLC0415

    model = get_user_model()
    users = [model(email=f"user{n}@example.com", metadata={"plan": "pro"}) for n in range(number)]
    model.objects.bulk_create(users, batch_size=1_000)
    keys = [str(user.pk) for user in users]
    del users
    for quarter in range(QUARTERS):
        for key in keys[quarter::QUARTERS]:
            with unit_of_work():
                is_enabled("beta", key)
        gc.collect()
        print(f"{resident_megabytes():.1f}", flush=True)


def measure(number: int) -> list[float]:
    """The resident set in MB after each quarter."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LaunchDarklyServer(boolean_flag("beta")) as server,
    ):
        environment = of_embedded(
            server,
            folder,
            LAUNCHDARKLY_CONTEXT_KEYS_CAPACITY=str(number // 8),
            DEBUG="false",
            PYTHONPATH=str(ROOT),
        )
        migrated = run_python(environment, "manage.py", "migrate", "--verbosity=0")
        assert migrated.returncode == 0, migrated.stderr
        done = run_python(environment, "-c", WORKER, str(number), timeout=1800)
        assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()[-QUARTERS:]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    found = measure(chosen.users)
    growth = found[-1] / found[QUARTERS // 2 - 1]
    shown = ", ".join(f"{each:.1f}" for each in found)
    print(f"MB after each quarter of {chosen.users:,} users: {shown}; × {growth:.3f}")
    if chosen.json:
        chosen.json.write_text(json.dumps({"megabytes": found, "growth": growth}))
    return int(growth > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
