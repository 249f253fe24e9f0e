"""An export that goes on for longer than the web server waits for a worker, as the image runs it."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import re
import socket
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import connection, connections
from django.test import Client
from django.urls import reverse

from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.processes import running_server
from users.models import User

DOCKERFILE = Path(__file__).resolve().parents[3] / "Dockerfile"
USERS = 20_000
NAME = "A name that fills the buffers of the network. " * 4
TIMEOUT_SECONDS = 2
"""gunicorn's, here. The image has a longer one, and a million users take longer still."""
SMALL_BUFFER = 4_096


def options_of_the_image() -> list[str]:
    """gunicorn's options in the image, with another address and a shorter time limit."""
    line = re.search(r"^CMD (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)
    assert line is not None
    command: list[str] = json.loads(line[1])
    program, *options, application = command
    assert (program, application) == ("gunicorn", "config.wsgi:application")
    return [*options, f"--timeout={TIMEOUT_SECONDS}"]


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_an_export_outlives_the_time_limit_of_the_server() -> None:
    SegmentFactory.create(key="everybody", rules=[rule(clause("role", "in", "user", "admin"))])
    staff = UserFactory.create(superuser=True)
    User.objects.bulk_create(
        [User(email=f"reader{n}@example.com", name=NAME, password="!") for n in range(USERS)]
    )
    client = Client()
    client.force_login(staff)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    name = connection.settings_dict["NAME"]
    env = {
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}",
        "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        "CELERY_BROKER_URL": None,
    }
    connections.close_all()
    options = options_of_the_image()
    with running_server(env, server="gunicorn", options=options, path="/healthz") as web:
        address = reverse("admin:featureflags_segment_members", args=["everybody"])
        headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"}
        page = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
        page.request("GET", address, headers=headers)
        answer = page.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text)
        cookie = re.search(r"csrftoken=(\w+)", answer.headers["Set-Cookie"])
        assert token is not None
        assert cookie is not None
        headers["Cookie"] += f"; csrftoken={cookie[1]}"
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        reader = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
        reader.sock = socket.socket()
        reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        reader.sock.settimeout(60)
        reader.sock.connect(("127.0.0.1", web.port))
        body = urlencode({"csrfmiddlewaretoken": token[1]})
        reader.request(
            "POST",
            reverse("admin:featureflags_segment_export", args=["everybody"]),
            body=body,
            headers=headers,
        )
        export = reader.getresponse()
        assert export.status == 200
        first = export.read(1_000)
        # A client that stops reading keeps the worker waiting, as a long export does.
        time.sleep(TIMEOUT_SECONDS * 3)
        rows = list(csv.reader(io.StringIO((first + export.read()).decode())))
        assert len(rows) == USERS + 2, web.log()
