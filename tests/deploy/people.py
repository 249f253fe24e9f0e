"""Users who are changed again and again, and ask every web server that serves after each change.

An answer is *wrong* if it is not right and does not say that it might not be; *stale* if it says so. What
another program writes with SQL may take 5 seconds, as the docs promise; all else is right at once.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.services.guarded import HOST
from tests.services.processes import Piped, WebProcess

FOREIGN_SECONDS = 20.0
"""How long a write of another program may go unnoticed: five seconds, on a machine that stands still for none."""
HONEST_SECONDS = 30.0
"""How long an answer may say that a server did not answer in time. A release that cannot read says so for ever."""
PAUSE_SECONDS = 0.05
AGAIN_SECONDS = 0.25
"""Between two questions for the same write of another program."""
VALUES: Mapping[str, tuple[Any, Any]] = {
    "email_verified": (False, True),
    "role": ("user", "admin"),
    "team": (False, True),
    "country": ("", "CH"),
}
"""What is written of each field: without and with its segment."""
OLD_FIELDS = frozenset({"email_verified", "role", "team"})
"""What rules of the release before may test."""
NEW_FIELDS = frozenset({"email_verified", "country"})
SQL = {
    "email_verified": "UPDATE users_user SET email_verified = %s WHERE id = %s",
    "role": "UPDATE users_user SET role = %s WHERE id = %s",
    "country": "UPDATE users_user SET country = %s WHERE id = %s",
}


@dataclass(slots=True, kw_only=True)
class Release:
    """A web server and a writer of one release, and the fields that its kind declares."""

    name: str
    fields: frozenset[str]
    web: WebProcess
    writer: Piped
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, *change: Any) -> None:
        """Have it written; returns when the write has."""
        with self.lock:
            self.writer.write_line(json.dumps(change))
            answer = self.writer.read_line()
        if answer != "done\n":
            raise RuntimeError(f"the writer of {self.name} ended")


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was answered, by release."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Statuses other than 200, and no answer."""

    @property
    def faults(self) -> list[str]:
        return [*self.wrong, *self.stale, *self.refused]


class Crowd:
    """People under change; a context manager: they go on until the end of the block.

    `serving` is the list of a load balancer: who is in it is asked, and takes part in writing.
    """

    def __init__(self, keys: Sequence[str], token: str, database: str) -> None:
        self.serving: list[Release] = []
        self.writable = set(OLD_FIELDS)
        """The fields whose columns are there."""
        self.seen = Seen()
        self.phase = ""
        self.errors: list[str] = []
        self._database = database
        self._token = token
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._live, args=(key,), daemon=True) for key in keys
        ]
        self._states: list[dict[str, Any]] = []
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def drain(self, release: Release) -> None:
        """Take it from the load balancer, and wait for the requests that are under way."""
        self.serving = [each for each in self.serving if each is not release]
        until = time.monotonic() + 30
        while self._busy[release.name] and time.monotonic() < until:
            time.sleep(PAUSE_SECONDS)

    def forget_country(self) -> None:
        """Write it no more, since its column goes with all that it holds. Returns once nobody does."""
        self.writable.discard("country")
        time.sleep(1)
        for state in self._states:
            state["country"] = VALUES["country"][0]

    def _live(self, key: str) -> None:
        chance = random.Random(key)
        state = {name: values[0] for name, values in VALUES.items()}
        self._states.append(state)
        try:
            with psycopg.connect(self._database, autocommit=True) as other:
                while not self._ending.wait(PAUSE_SECONDS):
                    self._turn(key, state, chance, other)
        except Exception as error:  # noqa: BLE001 - of a thread: the test shows it
            self.errors.append(f"{self.phase}: {error!r}")

    def _turn(
        self,
        key: str,
        state: dict[str, Any],
        chance: random.Random,
        other: psycopg.Connection[Any],
    ) -> None:
        releases = list(self.serving)
        if not releases:
            return
        release = chance.choice(releases)
        name = chance.choice(sorted(self.writable & (release.fields | {"country"})))
        value = next(each for each in VALUES[name] if each != state[name])
        way = chance.choice(("save", "update", "sql"))
        if name in SQL and (way == "sql" or name not in release.fields):
            other.execute(SQL[name], [value, key])
            patience = FOREIGN_SECONDS
        else:
            self._hold(release, 1)
            try:
                if release not in self.serving:
                    return
                release.write(key, name, value, way)
            finally:
                self._hold(release, -1)
            patience = 0.0
        state[name] = value
        until = time.monotonic() + patience
        # Not always all of them: what one reads is put into the cache for the other.
        for each in chance.sample(releases, chance.randint(1, len(releases))):
            self._check(each, key, state, until, f"{self.phase}: {name} by {way}")

    def _check(
        self, release: Release, key: str, state: Mapping[str, Any], until: float, what: str
    ) -> None:
        """Ask until the answer is right or late, or the release serves no more."""
        while True:
            began = time.monotonic()
            self._hold(release, 1)
            try:
                if release not in self.serving:
                    return
                status, flags, degraded = ask(release.web.port, key, self._token)
            finally:
                self._hold(release, -1)
            about = f"{what}, asked of {release.name}"
            if status != 200:
                self.seen.refused.append(f"{about}: {status}")
                return
            expected = {name: state[name] == VALUES[name][1] for name in release.fields}
            found = {name: flags.get(name) for name in release.fields}
            if found == expected:
                self.seen.right[f"{self.phase}, {release.name}"] += 1
                return
            if began >= until + (HONEST_SECONDS if degraded else 0.0):
                differs = {name: found[name] for name in found if found[name] != expected[name]}
                kind = self.seen.stale if degraded else self.seen.wrong
                kind.append(f"{about}: {differs} {degraded}")
                return
            time.sleep(AGAIN_SECONDS)

    def _hold(self, release: Release, by: int) -> None:
        with self._lock:
            self._busy[release.name] += by


def ask(port: int, key: str, token: str) -> tuple[int, dict[str, Any], list[str]]:
    """Status (0: no answer), the values of all flags, and what the answer said of itself.

    By OFREP: the user is named and not loaded, so that the cache answers.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(
            "POST",
            "/ofrep/v1/evaluate/flags",
            body=json.dumps({"context": {"targetingKey": key}}),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        response = connection.getresponse()
        status, body = response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, {}, []
    finally:
        connection.close()
    if status != 200:
        return status, {}, []
    flags = json.loads(body)["flags"]
    degraded = sorted({str(flag["metadata"].get("degraded", "")) for flag in flags} - {""})
    return status, {flag["key"]: flag["value"] for flag in flags}, degraded
