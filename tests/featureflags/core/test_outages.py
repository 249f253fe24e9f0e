"""One server as a process knows it: who may ask while it is silent, and what the log says."""

from __future__ import annotations

import logging
import os

import pytest

from featureflags.core import outages
from featureflags.core.outages import QUIET_SECONDS, RETRY_SECONDS, Server


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(outages, "time", clock)
    return clock


@pytest.fixture
def server() -> Server:
    return Server("A server")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_server_that_answers_is_asked_and_nothing_is_logged(
    server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    server.answered()
    assert server.may_ask()
    assert lines(caplog) == []


def test_after_a_missed_deadline_one_caller_a_second_asks(server: Server, clock: Clock) -> None:
    server.missed(0.1)
    assert server.is_silent
    assert not server.may_ask()
    clock.now += RETRY_SECONDS
    assert [server.may_ask() for _ in range(3)] == [True, False, False]
    clock.now += RETRY_SECONDS
    assert server.may_ask(), "the one before has not come back"


def test_an_answer_ends_it(server: Server, clock: Clock) -> None:
    server.missed(0.1)
    server.answered()
    assert not server.is_silent
    assert server.may_ask()


def test_a_server_that_refuses_may_be_asked_at_once(server: Server, clock: Clock) -> None:
    server.failed(ConnectionRefusedError())
    assert not server.is_silent
    assert server.may_ask()


def test_one_line_for_an_outage_and_one_for_its_end_with_its_length_and_counts(
    server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.failed(ConnectionRefusedError())
    for _ in range(3):
        server.missed(0.1)
        assert not server.may_ask()
    clock.now += 12.34
    server.answered()
    assert lines(caplog) == [
        "A server cannot be reached (ConnectionRefusedError). Requests go on without it.",
        "A server answers again after 12.3 s: 3 deadlines missed, 1 errors, 3 not asked.",
    ]


def test_a_server_that_comes_and_goes_does_not_fill_the_log(
    server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        server.missed(0.1)
        clock.now += 0.5
        server.answered()
    assert len(lines(caplog)) == 2
    clock.now += QUIET_SECONDS
    server.missed(0.1)
    server.answered()
    assert len(lines(caplog)) == 4
    totals = server.totals()
    assert (totals.outages, totals.missed, totals.seconds) == (6, 6, 2.5)


def test_the_present_outage_is_counted(server: Server, clock: Clock) -> None:
    server.missed(0.1)
    assert not server.may_ask()
    clock.now += 2
    totals = server.totals()
    assert (totals.is_silent, totals.outages, totals.refused, totals.seconds) == (True, 1, 1, 2)


def test_a_forked_child_starts_with_a_server_that_answers(server: Server) -> None:
    server.missed(0.1)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, b"asks" if server.may_ask() else b"does not")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 64) == b"asks"
    assert server.is_silent
