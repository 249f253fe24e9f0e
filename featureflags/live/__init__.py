"""Flags in a browser: what a page starts with, and streams that say “ask again” when it has changed.

In: a ticket, which a page or an answer of OFREP holds in the stream's address. Out: a message within a
second of the change. A stream carries no flag and no name: what changed is asked for as before.

    url = tickets.stream_path(who="8a2c…", keys=["8a2c…"])      "/guidon/events?ticket=…", or None
    data = bootstrap.bootstrap(request)                         what a browser starts with
    application = asgi.with_streams(application)                in the project's asgi.py

One thread of each process looks, and wakes the streams that are concerned (`hub`). Streams are served
beside Django, by `asgi`: a view would keep a thread for each of them. Under WSGI there is no stream, no
address of one is given, and clients poll with an ETag.

>>> from featureflags.live.tickets import Ticket
>>> Ticket(who="8a2c", keys=("8a2c",), day=20_783).api_key is None
True
"""

from __future__ import annotations

__all__ = ["asgi", "bootstrap", "hub", "tickets"]
