"""Ports and starts, which all servers of the test run share."""

from __future__ import annotations

import os
import random
import signal
import socket

import pytest

from tests.services import redis
from tests.services.guarded import HOST, PORTS, free_port, is_free
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.redis import redis_server
from tests.services.waiting import wait_until


def test_a_free_port_is_below_those_of_outgoing_connections() -> None:
    port = free_port()
    assert port in PORTS
    assert is_free(port)


def test_a_port_on_which_somebody_listens_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])


def test_a_port_that_was_taken_meanwhile_is_left_to_its_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Its owner accepts, and never answers whoever asks whether Redis is ready.
    monkeypatch.setattr(redis, "PROBE_SECONDS", 0.5)
    with socket.socket() as listener:
        listener.bind((HOST, free_port()))
        listener.listen()
        taken = listener.getsockname()[1]
        server = redis_server()
        server.port = taken
        with server:
            assert server.port != taken
            assert server.running


def test_a_taken_port_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind((HOST, free_port()))
        listener.listen()
        taken = listener.getsockname()[1]
        answers = iter([taken, taken, free_port()])
        monkeypatch.setattr(random, "choice", lambda ports: next(answers))
        assert free_port() != taken


def test_a_forked_child_that_leaves_does_not_take_the_servers_along() -> None:
    with redis_server() as server, LaunchDarklyServer() as launchdarkly:
        child = os.fork()
        if child == 0:
            launchdarkly.__exit__(None, None, None)
            server.__exit__(None, None, None)
            os._exit(0)
        assert os.waitpid(child, 0) == (child, 0)
        assert server.is_ready()
        assert server.directory.exists()
        with socket.create_connection((HOST, launchdarkly.port), timeout=60):
            pass


def test_servers_return_to_their_port_while_a_forked_child_lives() -> None:
    with redis_server() as server, LaunchDarklyServer() as launchdarkly:
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        try:
            launchdarkly.stop()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((HOST, launchdarkly.port), timeout=60)
            launchdarkly.start()
            with socket.create_connection((HOST, launchdarkly.port), timeout=60):
                pass
            server.restart()
            assert server.is_ready()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_waiting_is_bounded_and_says_for_what() -> None:
    with pytest.raises(TimeoutError, match=r"waited 0\.05 s for godot"):
        wait_until(lambda: False, timeout=0.05, what="godot")
    assert wait_until(lambda: "here", timeout=0, what="what is there") == "here"
