"""`make chaos`: servers are killed and frozen under load, and the site has to go on.

    python -m tests.chaos [--short] [--state NAME]… [--seconds 6] [--rate 30] [--docs FILE]

Prints, for each state and surface, the statuses, p99, wrong and stale answers, what they said of themselves, and
the time until all is right again. Exit code 1 if a bound is broken. Everything is on loopback, and
ends with the run. About 15 seconds a state.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.load import ask, surfaces
from tests.chaos.site import THREADS, WORKERS, Site
from tests.chaos.states import EMBEDDED_GROUP, HARSH_GROUP, SERVED_GROUP, Group, Where, all_states
from tests.chaos.table import BOUND_SECONDS, RECOVERY_SECONDS, Outcome, as_markdown, measure

WARM_UP = 8
"""Requests to each surface before the start, so that each process has met each of them."""

BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the states that `make test` runs")
    parser.add_argument(
        "--state", action="append", default=[], help="only this one; may be repeated"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each state lasts")
    parser.add_argument("--rate", type=float, default=30.0, help="requests a second")
    parser.add_argument("--docs", type=Path, help="a page whose table is replaced")
    return parser.parse_args(argv)


def check_names(options: argparse.Namespace) -> None:
    """Raises SystemExit for a state that there is not."""
    known = [state.name for state in all_states()]
    if unknown := set(options.state) - set(known):
        raise SystemExit(
            f"No such state: {', '.join(sorted(unknown))}. There are: {', '.join(known)}."
        )


def measured(group: Group[Where], options: argparse.Namespace) -> Iterator[Outcome]:
    """The chosen states of one site, which runs only if there are any."""
    chosen = [
        state
        for state in group.states
        if (not options.short or state.is_short)
        and (not options.state or state.name in options.state)
    ]
    for state in chosen:
        if state.why_not:
            print(f"{state.name}: left out, it {state.why_not}", file=sys.stderr, flush=True)
    possible = [state for state in chosen if not state.why_not]
    if not possible:
        return
    with group.site() as site:
        warm_up(site)
        for state in possible:
            print(f"{state.name} …", file=sys.stderr, flush=True)
            yield measure(site, state, seconds=options.seconds, rate=options.rate)


def warm_up(site: Site) -> None:
    for _ in range(WARM_UP):
        for surface in surfaces():
            ask(site, surface)


def write(page: Path, table: str) -> None:
    """Put the table, with its date, between the marks of the page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    note = f"Measured on {today}: gunicorn with {WORKERS} workers of {THREADS} threads."
    page.write_text(f"{before}{BEGIN}\n{note}\n\n{table}\n{END}{after}")


def main(argv: list[str]) -> int:
    options = parse(argv)
    check_names(options)
    outcomes = [
        *measured(SERVED_GROUP, options),
        *measured(HARSH_GROUP, options),
        *measured(EMBEDDED_GROUP, options),
    ]
    table = as_markdown(outcomes)
    print(table)
    if options.docs:
        write(options.docs, table)
    broken = [each for outcome in outcomes for each in outcome.broken]
    for each in broken:
        print(f"BROKEN: {each}")
    if not broken:
        print(
            f"Every bound holds: p99 of flags {BOUND_SECONDS * 1000:.0f} ms, nothing wrong, "
            f"recovery within {RECOVERY_SECONDS:.0f} s, the log at most 5 lines a second."
        )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
