"""All benchmarks, one after another: `make bench`, or `python -m tests.benchmarks [NAME…]`.

Each compares both sides in one run and in a process of its own. Compare the ratios: absolute
figures depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

BENCHMARKS = {
    "start": "django.setup(), manage.py check and a first answer, compared with an empty Django project",
    "checks": "one flag check in steps, compared with the raw SDK, django-waffle and django-flags",
    "kinds": "related fields, and users with their organizations, compared with users alone",
    "related": "users with joins and integer keys: warmed, counted, previewed, beside what one writes by hand",
    "entries": "writing and reading one entry of the cache, as it is and encrypted",
    "matching": "one user and many segments, compared with flagsmith-engine",
    "counting": "all users in 20 segments on PostgreSQL, compared with SQL written by hand",
    "limits": "a segment at its limits, of 4,000 conditions: its query, its preview and its save",
    "impact": "the preview of a changed segment on PostgreSQL, compared with a query for each number",
    "estimates": "estimates for previews of large tables, beside the exact counts, and how often they hold",
    "members": "a page of a segment's members on PostgreSQL, compared with a count and an OFFSET",
    "warming": "a cache warm-up, compared with a simple loop and with a pipeline written by hand",
    "writes": "a save, and updates of 1 to 200,000 users, beside Django's own without triggers",
    "memory": "a process that answers for 20,000 users, after each quarter of them",
    "stack": "the whole stack under load with 1, 2 and 4 workers, beside an empty Django view",
    "api": "REST and OFREP under gunicorn, compared with an empty view; 1,000 users, with the raw SDK",
    "store": "one evaluation by the SDK, on its own store and on ours",
    "streams": "1,000 open streams on one process: memory, idle processor, and how soon each hears of a write",
    "trace": "the way of three journeys through our code: calls, modules, changes of module",
}


def processor() -> str:
    """The model of the processor on Linux; elsewhere its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument(
        "--users",
        type=int,
        help="number of users for the benchmarks on PostgreSQL (default 1,000,000; of `writes`: 200,000)",
    )
    parser.add_argument(
        "--rows", type=int, help="number of users for `estimates` (default 1,000,000)"
    )
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - BENCHMARKS.keys())
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    figures: dict[str, object] = {}
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.names or BENCHMARKS:
            print(f"\n== {name}: {BENCHMARKS[name]}", flush=True)
            written = Path(folder) / f"{name}.json"
            wants_users = chosen.users and name in {
                "counting",
                "impact",
                "members",
                "related",
                "warming",
                "writes",
            }
            extra = ["--users", str(chosen.users)] if wants_users else []
            if name == "estimates" and chosen.rows:
                extra = ["--users", str(chosen.rows)]
            command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--json", str(written)]
            failed |= subprocess.run([*command, *extra], check=False).returncode != 0
            if written.exists():
                figures[name] = json.loads(written.read_text())
    if chosen.json is not None:
        machine = {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "processor": processor(),
        }
        chosen.json.write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
