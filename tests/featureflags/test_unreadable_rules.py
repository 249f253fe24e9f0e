"""The rules cannot be read: what needs them says 503, and never that there is no such segment.

Every page of the admin and every operation of the API is asked, also ones that are added later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import resolve
from pytest_django.fixtures import Settings

from featureflags.audience import stored_sizes
from featureflags.audience.comparison import Comparison
from featureflags.audience.querysets import ruleset_with
from featureflags.cache import compiled_rules
from featureflags.models import Scope
from featureflags.segments.definitions import SegmentDefinition
from tests.browser.test_every_admin_page import admin_pages, samples  # noqa: F401 - a fixture
from tests.conftest import FlagFile
from tests.emptying import empty_caches
from tests.factories import UserFactory
from tests.featureflags.api.callers import by_key, root
from tests.featureflags.api.documented import operations
from tests.featureflags.api.test_matrix import asked, body, include
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag

# What is said is the same on both.
pytestmark = [pytest.mark.django_db, pytest.mark.embedded_stack]

PAGES: Final = {
    "featureflags_draft",
    "featureflags_draft_people",
    "featureflags_segment_members",
    "featureflags_segment_overlap",
    "featureflags_why_flag",
    "featureflags_why_flag_for",
    "featureflags_why_segment",
}
OPERATIONS: Final = {"contexts_segments", "segments_explain", "segments_overlap"}
NOT_THERE: Final = {404, 500}


def fail() -> None:
    raise OperationalError("no answer")


def nobody_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_rules.forget_loaded()
    empty_caches()
    monkeypatch.setattr(compiled_rules, "_load", fail)


def test_pages_of_the_admin(
    samples: Mapping[str, object],  # noqa: F811 - the fixture
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages, somebody = sorted(set(admin_pages(samples))), root()
    client.raise_request_exception = False
    nobody_knows_them(monkeypatch)
    statuses = {}
    for page in pages:
        empty_caches()
        client.force_login(somebody)
        statuses[page] = client.get(page).status_code
    assert not {page for page, status in statuses.items() if status in NOT_THERE}
    unavailable = {resolve(page).url_name for page, status in statuses.items() if status == 503}
    assert unavailable >= PAGES


def test_operations_of_the_api(
    flag_file: FlagFile, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag_file(boolean_flag("new-checkout"))
    use(settings, THROTTLE_KEY=0, THROTTLE_USER=0, THROTTLE_ADDRESS=0, THROTTLE_WRONG_KEYS=0)
    other, client = UserFactory.create(), by_key(root(), Scope.WRITE)[0]
    client.raise_request_exception = False
    include(other)
    requests = [
        (
            name := operation["operationId"],
            method,
            asked(operation, path, other),
            body(name, operation),
        )
        for path, method, operation in operations()
    ]
    nobody_knows_them(monkeypatch)
    statuses = {}
    for name, method, address, given in requests:
        empty_caches()
        include(other)
        statuses[name] = client.generic(method, address, **given).status_code
    assert not {name for name, status in statuses.items() if status in NOT_THERE}
    assert {name for name, status in statuses.items() if status == 503} >= OPERATIONS


@pytest.mark.parametrize(
    "act",
    [
        lambda: ruleset_with("employee"),
        stored_sizes.count_everything,
        stored_sizes.count_changed,
        lambda: Comparison.with_definition(
            SegmentDefinition(key="employee"), before=None, now=None
        ),
    ],
    ids=["people of a segment", "all sizes", "sizes of what has changed", "before and after"],
)
def test_nobody_counts_without_rules(
    act: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody_knows_them(monkeypatch)
    with pytest.raises(OperationalError):
        act()
