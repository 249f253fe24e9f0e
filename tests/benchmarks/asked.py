"""What `api` runs once it has its servers: it fills them, starts gunicorn, and measures."""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
import redis
from django.conf import settings
from django.core.management import call_command
from ldclient import Config, LDClient
from ldclient.feature_store import InMemoryFeatureStore
from ldclient.integrations import Files
from rest_framework.test import APIRequestFactory

from featureflags.api.evaluate import EvaluateView
from featureflags.evaluation.resolve import contexts_for
from featureflags.models import Scope
from tests.factories import UserFactory, token_for
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

FLAGS: Final = 20
SUBJECTS, ASKED = 1_000, 10
WARM, ROUNDS = 200, 1_000
BATCHES: Final = 15
START_SECONDS: Final = 60.0
AIMS: Final = {
    "REST, one flag by key": 1.5,
    "REST, one flag of a named user": 1.5,
    "OFREP, one flag by key": 1.5,
    "REST, 20 flags of a named user": 2.5,
    "OFREP, 20 flags in bulk": 2.5,
    "1,000 users × 10 flags": 1.3,
}

EMPTY: Final = "an empty view"
EMPTY_WITH_OWNER: Final = "an empty view, key with owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, and the empty view with the same authentication."""

    method: str = "POST"
    path: str
    body: str = ""
    token: str
    beside: str = EMPTY


@contextmanager
def gunicorn() -> Iterator[int]:
    """One worker with one thread; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    options = ["--workers", "1", "--threads", "1", "--keep-alive", "60", "--log-level", "error"]
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--access-logfile", "/dev/null"]
    command += [*options, "--bind", f"127.0.0.1:{port}", "config.wsgi:application"]
    process = subprocess.Popen(command, env={**os.environ, "GUIDON_TEST_WORKER": ""})
    try:
        ends = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > ends:
                    raise SystemExit("gunicorn does not start") from None
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def requests_of(user: User, program: str, own: str) -> dict[str, Ask]:
    """One of each step. `program` evaluates for anybody, `own` reads as its owner."""
    context = json.dumps({"context": {"targetingKey": str(user.pk)}})
    few = {"subjects": [str(user.pk)], "flags": [f"flag-{n}" for n in range(FLAGS)]}
    one = {"subjects": [str(user.pk)], "flags": ["flag-0"]}
    evaluate, flags = "/api/v1/flags/evaluate/", "/ofrep/v1/evaluate/flags"
    return {
        EMPTY: Ask(path="/empty/", body=context, token=program),
        EMPTY_WITH_OWNER: Ask(method="GET", path="/empty/", token=own, beside=EMPTY_WITH_OWNER),
        "REST, one flag by key": Ask(
            method="GET", path="/api/v1/flags/flag-0/", token=own, beside=EMPTY_WITH_OWNER
        ),
        "REST, one flag of a named user": Ask(path=evaluate, body=json.dumps(one), token=program),
        "OFREP, one flag by key": Ask(path=f"{flags}/flag-0", body=context, token=program),
        "REST, 20 flags of a named user": Ask(path=evaluate, body=json.dumps(few), token=program),
        "OFREP, 20 flags in bulk": Ask(path=flags, body=context, token=program),
    }


def timed(port: int, asked: dict[str, Ask]) -> dict[str, float]:
    """The median seconds of each step, in turns."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    took: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(WARM + ROUNDS):
        for name, ask in asked.items():
            headers = {"Authorization": f"Bearer {ask.token}", "Content-Type": "application/json"}
            started = time.perf_counter()
            connection.request(ask.method, ask.path, ask.body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            seconds = time.perf_counter() - started
            if answer.status != 200:
                raise SystemExit(f"{name}: {answer.status} {content[:300]!r}")
            if number >= WARM:
                took[name].append(seconds)
    connection.close()
    return {name: statistics.median(each) for name, each in took.items()}


def in_bulk(token: str, keys: list[str], flag_file: Path) -> tuple[float, float]:
    """The best seconds of the view, and of the raw calls with one round trip to Redis."""
    flags = [f"flag-{n}" for n in range(ASKED)]
    factory, view = APIRequestFactory(), EvaluateView.as_view()
    body = json.dumps({"subjects": keys, "flags": flags})
    header = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    source = Files.new_data_source(paths=[str(flag_file)])
    config = Config(
        "sdk-key",
        feature_store=InMemoryFeatureStore(),
        update_processor_class=source,
        send_events=False,
    )
    raw = LDClient(config)
    contexts = [found.context for found in contexts_for(keys).values()]
    server = redis.Redis.from_url(str(settings.REDIS_URL))
    names = [f"raw:{key}" for key in keys]
    server.mset(dict.fromkeys(names, b"x" * 240))

    def ask_view() -> None:
        request = factory.post("/", body, content_type="application/json", **header)
        answer: Any = view(request)
        assert answer.status_code == 200, answer.data
        assert len(answer.content) > SUBJECTS * ASKED

    def ask_raw() -> None:
        server.mget(names)
        for context in contexts:
            for flag in flags:
                raw.variation(flag, context, False)

    best = [float("inf"), float("inf")]
    for _ in range(BATCHES):
        for place, step in enumerate((ask_view, ask_raw)):
            started = time.perf_counter()
            step()
            best[place] = min(best[place], time.perf_counter() - started)
    raw.close()
    return best[0], best[1]


def main(file: str) -> None:
    flag_file = Path(os.environ["LAUNCHDARKLY_FLAG_FILE"])
    rules = [segment_rule("employee")]
    every = [{**boolean_flag(f"flag-{n}", rules=rules), "clientSide": True} for n in range(FLAGS)]
    document = {"flags": {flag["key"]: flag for flag in every}, "segments": {}}
    flag_file.write_text(json.dumps(document))
    call_command("migrate", verbosity=0)
    users = UserFactory.create_batch(SUBJECTS)
    token = token_for(scope=Scope.EVALUATE)
    asked = requests_of(users[0], token, token_for(users[0], Scope.READ))
    with gunicorn() as port:
        seconds = timed(port, asked)
    empty = seconds[EMPTY]
    ratios = {name: took / seconds[asked[name].beside] for name, took in seconds.items()}
    view, raw = in_bulk(token, [str(user.pk) for user in users], flag_file)
    ratios["1,000 users × 10 flags"] = view / raw
    print(
        f"an empty view: {empty * 1000:.2f} ms; 10,000 raw calls and an MGET: {raw * 1000:.0f} ms"
    )
    for name, ratio in ratios.items():
        aim = f"  aim: {AIMS[name]} ×" if name in AIMS else ""
        print(f"{name:<30}{ratio:>6.2f} ×{aim}")
    if file:
        result = {"empty_ms": empty * 1000, "raw_ms": raw * 1000, "ratios": ratios}
        Path(file).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
