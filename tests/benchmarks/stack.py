"""The whole stack under load: gunicorn with 1, 2 and 4 workers on PostgreSQL and Redis, beside an empty view.

Everything is on loopback, the callers too: they take their share of the processors, from both sides of a ratio.
`--segments` and `--flags` are how many there are; run it twice to see how the cost grows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.site import FLAG, prepare, production_env
from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.guarded import HOST, free_port
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.postgres import postgres_server
from tests.services.processes import GuidonProcess, manage, python
from tests.services.redis import redis_server
from tests.services.variables import Account, accounts_of
from tests.services.waiting import wait_until

THREADS = 4
CONNECTIONS = 8
WARM_UP_SECONDS = 1.0

MADE = """
from featureflags.models import ApiKey, Segment
from users.models import User
for number in range(%d):
    clause = {"attribute": "custom_number", "op": "in", "values": [number], "negate": False}
    Segment.objects.create(key=f"made-{number}", name=f"Made {number}", rules=[{"clauses": [clause]}])
key = ApiKey(name="load", scope="evaluate")
print("MADE", key.issue(), User.objects.get(email="ada@agpt.co").pk)
key.save()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One surface with one number of workers."""

    workers: int
    surface: str
    answers_a_second: float
    p50: float
    p99: float
    """Milliseconds."""
    wrong: int


def request(path: str, body: str = "", **headers: str) -> bytes:
    """What a caller sends."""
    given = {"Host": HOST, "Content-Length": str(len(body)), **headers}
    lines = [
        f"{'POST' if body else 'GET'} {path} HTTP/1.1",
        *(f"{k}: {v}" for k, v in given.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def surfaces(ada: Account, token: str, key: str) -> Mapping[str, bytes]:
    """What is asked of Guidon, by the name of its row."""
    cookie = {"Cookie": f"sessionid={ada.session}"}
    body = json.dumps({"context": {"targetingKey": key}})
    program = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return {
        "one flag, session": request(f"/api/v1/flags/{FLAG}/", **cookie),
        "one flag, OFREP": request(f"/ofrep/v1/evaluate/flags/{FLAG}", body, **program),
        "all flags, OFREP": request("/ofrep/v1/evaluate/flags", body, **program),
        "home page, session": request("/", **cookie),
    }


@contextmanager
def gunicorn(application: str, env: Mapping[str, str | None], workers: int) -> Iterator[int]:
    """Its port."""
    port = free_port()
    options = (f"--bind={HOST}:{port}", f"--workers={workers}", f"--threads={THREADS}")
    command = python(
        "-m", "gunicorn", *options, "--keep-alive=30", "--log-level=warning", application
    )
    with GuidonProcess(command, env):
        wait_until(lambda: asked(port, request("/"), 0.01, 1), what=f"{application} to answer")
        yield port


def asked(port: int, what: bytes, seconds: float, connections: int) -> Mapping[str, float] | None:
    """The figures of the callers; None if nobody listens."""
    command = python("-m", "tests.benchmarks.callers", str(port), str(seconds), str(connections))
    done = subprocess.run(command, input=what, capture_output=True, check=False)
    found: Mapping[str, float] | None = json.loads(done.stdout) if done.stdout else None
    return found


def measure(port: int, name: str, what: bytes, workers: int, seconds: float) -> Row:
    asked(port, what, WARM_UP_SECONDS, CONNECTIONS)
    found = asked(port, what, seconds, CONNECTIONS)
    if found is None:
        raise RuntimeError(f"{name}: no answer")
    return Row(
        workers=workers,
        surface=name,
        answers_a_second=found["answers"] / seconds,
        p50=found["p50"] * 1000,
        p99=found["p99"] * 1000,
        wrong=int(found["wrong"]),
    )


@contextmanager
def site(
    segments: int, flags: int
) -> Iterator[tuple[Mapping[str, str | None], Mapping[str, bytes]]]:
    """The environment of production's servers, and what to ask there."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guidon-stack-")))
        postgres = stack.enter_context(postgres_server())
        cache, broker = (stack.enter_context(redis_server()) for _ in range(2))
        rules = [segment_rule("employee")]
        made = [boolean_flag(f"flag-{number}", rules=rules) for number in range(flags - 1)]
        service = stack.enter_context(LaunchDarklyServer(boolean_flag(FLAG, rules=rules), *made))
        env = production_env(folder, postgres, cache, broker, service)
        prepare(env)
        accounts = accounts_of(env)
        done = manage(env, "shell", "--command", MADE % segments)
        _, found, rest = done.stdout.partition("MADE ")
        if not found:
            raise RuntimeError(done.stderr)
        token, key = rest.split()[:2]
        yield env, surfaces(accounts["ada"], token, key)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each row")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--segments", type=int, default=20)
    parser.add_argument("--flags", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[Row] = []
    print("| workers | surface | answers/s | of the empty view | p50, ms | p99, ms |")
    print("|---|---|---|---|---|---|")
    with site(options.segments, options.flags) as (env, asks):
        for workers in options.workers:
            with gunicorn("tests.benchmarks.empty_view:application", {}, workers) as port:
                mine = [measure(port, "empty view", request("/"), workers, options.seconds)]
            with gunicorn("config.wsgi:application", env, workers) as port:
                # The SDK has its flags, and each worker has met each surface.
                time.sleep(WARM_UP_SECONDS)
                for name, what in asks.items():
                    mine.append(measure(port, name, what, workers, options.seconds))
            for row in mine:
                share = row.answers_a_second / mine[0].answers_a_second
                wrong = f", {row.wrong} WRONG" if row.wrong else ""
                print(
                    f"| {workers} | {row.surface} | {row.answers_a_second:.0f} | {share:.2f} "
                    f"| {row.p50:.1f} | {row.p99:.1f}{wrong} |",
                    flush=True,
                )
            rows += mine
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
