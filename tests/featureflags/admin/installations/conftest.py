"""Another installation with documents of its own, and people here who promote its segments."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.models import Segment
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.admin.proposals.deciding import TEAM, person
from tests.featureflags.admin.shared.confirming import PRO
from tests.featureflags.api.using import use
from tests.featureflags.editing.installations.another import KEY, Other
from tests.services.flag_json import boolean_flag, segment_rule

PAGE = reverse("admin:featureflags_installation", args=["staging"])
MEMBERS = ("add_segmentmember", "change_segmentmember", "delete_segmentmember")


@pytest.fixture
def other(settings: Settings, flag_file: FlagFile, db: None) -> Iterator[Other]:
    """A flag that is on uses `paying` here, so that a change of it needs an approval."""
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))
    with Other() as server:
        use(
            settings,
            APPROVE_LIVE_SEGMENTS=True,
            WEBHOOK_PRIVATE_ADDRESSES=True,
            INSTALLATIONS=[f"staging http://127.0.0.1:{server.server_port}/api/v1 {KEY}"],
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def has(other: Other, segments: Mapping[str, Any], names: Mapping[str, Any] | None = None) -> None:
    """These are its segments."""
    body = {"segments": segments, "names": names or {}, "problems": {}, "next": None}
    other.answers = [(200, {}, json.dumps(body).encode())]


def segment_there(key: str, **fields: Any) -> dict[str, Any]:
    return {"key": key, "name": key.title(), "rules": TEAM, "version": 1, **fields}


@pytest.fixture
def paying(other: Other) -> Segment:
    """Here those who pay; there, teams, of whom there are three here."""
    for number in range(3):
        UserFactory.create(email=f"team{number}@example.com", metadata={"plan": "team"})
    has(other, {key: segment_there(key) for key in ("paying", "quiet")})
    return SegmentFactory.create(key="paying", name="Paying", rules=PRO)


@pytest.fixture
def ada() -> Client:
    return person(*MEMBERS)


@pytest.fixture
def ben() -> Client:
    return person("approve_plannedchange")


def pull(client: Client, *keys: str, **sent: str) -> Any:
    """The page that asks, for these segments of there."""
    return client.post(PAGE, {"segment": list(keys), "way": "from", **sent})


def text_of(found: Any) -> str:
    assert isinstance(found, HttpResponse)
    assert found.status_code == 200, found
    return found.content.decode()
