"""Streams of a real server (uvicorn): what wakes them and how soon, and what ends them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.cache import protocol, snapshot_store
from featureflags.cache.outbox import OutboxRow
from featureflags.live import asgi, tickets
from featureflags.live.asgi import Message
from featureflags.live.hub import Hub, Stream, hub
from featureflags.live.tickets import Ticket
from featureflags.models import ApiKey, Segment
from featureflags.models.api_keys import prefix_of
from tests.factories import UserFactory, clause, rule, token_for
from tests.featureflags.live.asking import bulk, environment, settled, stream_of, write
from tests.featureflags.live.reader import Reader, reading
from tests.services.flag_json import boolean_flag
from tests.services.guarded import KILLED
from tests.services.processes import WebProcess, running_server
from tests.services.waiting import PATIENCE_SECONDS
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)
of_http = pytest.mark.embedded_stack
"""A test of the server itself: the database and the cache have no part in it."""


def stored(user: User) -> object:
    """What the cache holds, without a look at the outbox."""
    read = snapshot_store.get([str(user.pk)])
    return read.version, read.epoch, dict(read.stored)


@contextmanager
def seen_at_once(user: User, *awaited: tuple[Reader, int]) -> Iterator[None]:
    """A write of ours, and the messages that follow. A foreign write is in the cache seconds later."""
    before = stored(user)
    yield
    assert stored(user) != before, "the cache is notified before the write returns"
    for reader, count in awaited:
        reader.wait_for(count + 1)


def test_what_wakes_a_stream_at_once(web: WebProcess, ada: User, flags: Path) -> None:
    other = UserFactory.create()
    with reading(stream_of(web, ada)) as mine, reading(stream_of(web, other)) as theirs:
        assert (mine.status, mine.answer.getheader("Content-Type")) == (
            200,
            "text/event-stream; charset=utf-8",
        )
        count, of_other = settled(web, mine), settled(web, theirs)

        ada.name = "Ada Lovelace"
        with seen_at_once(ada, (mine, count)):
            ada.save()
        assert settled(web, theirs) == of_other, "another user's change"
        count = len(mine.messages)
        assert count <= of_other + 1, "one change is one message"

        with seen_at_once(ada, (mine, count)):
            User.objects.filter(pk=ada.pk).update(name="Countess")

        count, of_other = settled(web, mine), settled(web, theirs)
        with seen_at_once(ada, (mine, count), (theirs, of_other)):
            Segment.objects.create(key="beta", name="Beta", rules=[rule(clause("name", "in", "x"))])

        count = settled(web, mine)
        # The file is looked at once a second. Other tests ask for the flag that was there.
        document = json.loads(flags.read_text())
        write(flags, *document["flags"].values(), boolean_flag("another"))
        mine.wait_for(count + 1)


def outside() -> sqlite3.Connection | psycopg.Connection:
    """A connection that Django knows nothing of. As a context manager it commits."""
    if connection.vendor == "sqlite":
        return sqlite3.connect(connection.settings_dict["NAME"], timeout=PATIENCE_SECONDS)
    return psycopg.connect(**connection.get_connection_params())


def test_a_foreign_write_is_seen(web: WebProcess, ada: User) -> None:
    with reading(stream_of(web, ada)) as mine:
        count = settled(web, mine)
        with closing(outside()) as other, other:
            other.execute("UPDATE users_user SET name = 'Foreign' WHERE name = 'Ada'")
        mine.wait_for(count + 1)


def test_a_user_whom_the_cache_does_not_have(
    web: WebProcess, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has asked for their flags, or the cache has evicted them."""
    monkeypatch.setattr(tickets, "is_served", lambda: True)
    path = tickets.stream_path(who="cold", keys=[str(ada.pk)])
    with reading(f"{web.url}{path}") as reader:
        count = settled(web, reader)
        User.objects.filter(pk=ada.pk).update(name="Changed")
        reader.wait_for(count + 1)
        # As an eviction does.
        protocol.notify([OutboxRow(id=None, keys=(str(ada.pk),))])
        count = settled(web, reader)
        User.objects.filter(pk=ada.pk).update(name="Once more")
        reader.wait_for(count + 1)


def test_a_user_who_is_made_later(web: WebProcess, ada: User) -> None:
    later = UserFactory.build()
    with reading(stream_of(web, str(later.pk))) as reader:
        count = settled(web, reader)
        later.save()
        reader.wait_for(count + 1)


@of_http
def test_the_ticket_and_the_key_decide(web: WebProcess, ada: User) -> None:
    token = token_for()
    url = stream_of(web, ada, token)
    for wrong in (url[:-1] + ("a" if url[-1] != "a" else "b"), url.partition("?")[0]):
        with reading(wrong) as refused:
            assert refused.status == 403
    ApiKey.objects.update(is_active=False)
    with reading(url) as revoked:
        assert revoked.status == 403


@of_http
def test_a_key_that_ends_ends_its_streams(web: WebProcess, ada: User) -> None:
    """Before the next message or heartbeat, and no others."""
    revoked, expired, good = (token_for() for _index in range(3))
    with (
        reading(stream_of(web, ada, revoked)) as first,
        reading(stream_of(web, ada, expired)) as second,
        reading(stream_of(web, ada, good)) as theirs,
    ):
        said = [settled(web, each) for each in (first, second)]
        count = settled(web, theirs)
        # As another process does it, past what this one remembers of the keys.
        ApiKey.objects.filter(prefix=prefix_of(revoked)).update(is_active=False)
        ApiKey.objects.filter(prefix=prefix_of(expired)).update(expires_at=timezone.now())
        time.sleep(asgi.KEY_SECONDS)
        User.objects.filter(pk=ada.pk).update(name="Changed")
        for ended in (first, second):
            assert ended.has_ended.wait(PATIENCE_SECONDS)
        assert [len(each.messages) for each in (first, second)] == said, "they say nothing more"
        theirs.wait_for(count + 1)
        assert not theirs.has_ended.is_set()


@of_http
def test_other_methods_are_refused_with_those_that_there_are(web: WebProcess, ada: User) -> None:
    request = urllib.request.Request(stream_of(web, ada), method="POST", data=b"")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert (refused.value.code, refused.value.headers["Allow"]) == (405, "GET")
    refused.value.close()


@of_http
def test_the_same_address_all_day(web: WebProcess, ada: User) -> None:
    token = token_for()
    assert stream_of(web, ada, token) == stream_of(web, ada, token)


@of_http
def test_streams_have_limits_and_a_server_ends_without_waiting_for_them(
    flags: Path, ada: User
) -> None:
    """Of one subject, and of one process."""
    with running_server(environment(flags), server="uvicorn", path="/healthz") as web:
        url, other = stream_of(web, ada), stream_of(web, UserFactory.create())
        open_ones = [Reader(url) for _index in range(20)]
        try:
            assert {reader.status for reader in open_ones} == {200}
            with reading(url) as one_more:
                assert one_more.status == 503
                assert one_more.answer.getheader("Retry-After") is not None
            open_ones += [Reader(other) for _index in range(5)]
            assert {reader.status for reader in open_ones} == {200}
            with reading(other) as one_more:
                assert one_more.status == 503
            web.stop()
            for reader in open_ones:
                assert reader.has_ended.wait(PATIENCE_SECONDS)
            assert web.exit_code != KILLED
        finally:
            for reader in open_ones:
                reader.close()


@of_http
def test_under_wsgi_there_is_no_stream(flags: Path, ada: User) -> None:
    with running_server(environment(flags), server="gunicorn", path="/healthz") as server:
        assert "eventStreams" not in bulk(server, ada)


class TestTickets:
    def test_what_was_signed_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tickets, "is_served", lambda: True)
        path = tickets.stream_path(who="a", keys=["a", "b"], api_key=7)
        assert path is not None
        text = path.partition("ticket=")[2].replace("%3A", ":")
        found = tickets.read_ticket(text)
        assert found is not None
        assert (found.who, found.keys, found.api_key) == ("a", ("a", "b"), 7)

    def test_it_is_good_until_the_end_of_the_next_day(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tickets, "is_served", lambda: True)
        path = tickets.stream_path(who="a", keys=[])
        assert path is not None
        text = path.partition("ticket=")[2].replace("%3A", ":")
        today = tickets._today()
        for day, is_good in ((today, True), (today + 1, True), (today + 2, False)):
            monkeypatch.setattr(tickets, "_today", lambda day=day: day)
            assert (tickets.read_ticket(text) is not None) is is_good

    @pytest.mark.parametrize("text", ["", ":", "abc:def", "ü", "\x00", "a" * 10_000])
    def test_nonsense(self, text: str) -> None:
        assert tickets.read_ticket(text) is None


@of_http
def test_a_wsgi_server_names_the_streams_of_a_process_beside_it(
    web: WebProcess, ada: User, flags: Path
) -> None:
    """As in compose.yaml: one address, and a proxy that leads streams to the other process."""
    env = {**environment(flags), "LIVE_STREAMS_ELSEWHERE": "true"}
    with running_server(env, server="gunicorn", path="/healthz") as beside:
        address = stream_of(beside, ada)
    with reading(address.replace(beside.url, web.url)) as mine:
        assert mine.status == 200
        count = settled(web, mine)
        User.objects.filter(pk=ada.pk).update(name="Countess")
        mine.wait_for(count + 1)


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_the_key_of_a_stream_is_not_waited_for(settings: Settings) -> None:
    """Where its table is locked, or the server is frozen: each wait would hold one of a few threads."""
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "PAGE_DATABASE_SECONDS": 0.2}
    token_for()
    pk = ApiKey.objects.get().pk
    ticket = Ticket(who="x", keys=(), day=0, api_key=pk)
    stream = Stream(who="x", keys=frozenset(), loop=asyncio.new_event_loop())
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("LOCK TABLE featureflags_apikey IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(OperationalError, match=r"within 0\.20 s"):
            asgi._admit(ticket, stream)
    assert stream not in hub()._streams


def test_a_stream_that_comes_while_the_server_ends_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A browser never connects again after a refusal."""
    ended, sent = Hub(), list[Message]()
    ended.end()
    monkeypatch.setattr(asgi, "hub", lambda: ended)
    monkeypatch.setattr(tickets, "is_served", lambda: True)
    path, _, query = str(tickets.stream_path(who="a", keys=[])).partition("?")
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode()}

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(asgi._answer(scope, receive, send))
    assert sent[0]["status"] == 200
    assert sent[1]["body"].startswith(b"retry: ")
    assert sent[-1]["more_body"] is False
    assert not len(ended)
