"""Cache warm-ups in the admin: permissions, cancelling by POST only, never edited."""

from __future__ import annotations

import re
import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.models import WarmRange, WarmRun
from featureflags.warming.batches import Counts
from featureflags.warming.leases import claim, finish, give_back
from featureflags.warming.runs import begin
from featureflags.warming.scope import Scope
from featureflags.warming.worker import CACHE_DOWN, warm
from tests.browser.conftest import person_with
from tests.featureflags.warming.people import EVERYBODY, change, crowd, seen

pytestmark = pytest.mark.django_db(transaction=True)

LIST = reverse("admin:featureflags_warmrun_changelist")


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(person_with("view_warmrun"))
    return client


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(person_with("view_warmrun", "change_warmrun"))
    return client


@pytest.fixture
def run(settings: Settings) -> int:
    """A run of three ranges: one is done, one has failed once, one waits.

    Five users, and the one who looks at it.
    """
    change(settings, WARM_RANGE=2)
    crowd(5)
    run = begin(EVERYBODY).run
    first, second = claim(run), claim(run)
    assert first is not None
    assert second is not None
    finish(first, Counts(read=2, written=1, kept=1))
    give_back(second, Counts(read=1, failed=1), CACHE_DOWN)
    return run


def page_of(run: int) -> str:
    return reverse("admin:featureflags_warmrun_change", args=[run])


def cancel_page(run: int) -> str:
    return reverse("admin:featureflags_warmrun_cancel", args=[run])


def test_the_page_shows_progress_rate_failures_and_unfinished_ranges(
    viewer: Client, run: int
) -> None:
    page = viewer.get(page_of(run)).content.decode()
    assert '<progress max="100" value="50"' in page
    assert "1 of 3 done, 0 running, 0 failed" in page
    assert "3 of 6 read" in page
    assert "1 written, 1 kept, 1 failed" in page
    assert re.search(r"\d+ rows a second", page)
    assert "Everybody" in page
    left = re.findall(r'<th scope="row">(\d+)</th><td>(\w+)</td>', page)
    assert left == [("2", "Waiting"), ("3", "Waiting")]
    assert "The cache does not answer." in page
    assert str(uuid.UUID(int=5)) in page
    assert "<input" not in page.partition('id="content-main"')[2], "a viewer has no button"


def test_an_ended_run_is_shown_as_ended(viewer: Client) -> None:
    seen(1)
    ended = warm(Scope(days=7, force=True)).run
    page = viewer.get(page_of(ended)).content.decode()
    assert ">Done</h2>" in page
    assert "Seen within 7 days, all entries written" in page
    assert "All ranges are done." in page
    assert "live.js" not in page, "nothing is renewed any more"


def test_the_list_costs_the_same_for_many_runs(viewer: Client) -> None:
    crowd(1)
    counted, page = [], viewer.get(LIST).content.decode()
    for _ in range(2):
        for _ in range(3):
            warm(EVERYBODY)
        with CaptureQueriesContext(connection) as captured:
            page = viewer.get(LIST).content.decode()
        counted.append(len(captured))
    assert counted[0] == counted[1]
    assert page.count("<progress") == 6
    assert "1 of 1 ranges" in page


def test_a_run_is_cancelled_by_post_and_written_down(operator: Client, run: int) -> None:
    assert "Cancel this warm-up" in operator.get(page_of(run)).content.decode()
    assert operator.get(cancel_page(run)).status_code == 405
    assert WarmRun.objects.get().state == WarmRun.State.RUNNING
    page = operator.post(cancel_page(run), follow=True).content.decode()
    assert "The cache warm-up is cancelled." in page
    assert ">Cancelled</h2>" in page
    assert "Cancel this warm-up" not in page
    assert claim(run) is None
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.get_change_message()) == (str(run), "Cancelled.")
    again = operator.post(cancel_page(run), follow=True).content.decode()
    assert "It had ended already." in again
    assert LogEntry.objects.count() == 1


def test_cancelling_needs_the_permission_to_change_the_warm_up(viewer: Client, run: int) -> None:
    assert viewer.post(cancel_page(run)).status_code == 403
    assert WarmRun.objects.get().state == WarmRun.State.RUNNING
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(person_with("view_warmrun", "change_warmrun"))
    assert forged.post(cancel_page(run)).status_code == 403
    nobody = Client()
    assert "/login/" in nobody.post(cancel_page(run)).headers["Location"]
    nobody.force_login(person_with("view_segment"))
    assert nobody.get(page_of(run)).status_code == 403
    assert nobody.get(LIST).status_code == 403
    assert WarmRun.objects.get().state == WarmRun.State.RUNNING


def test_nothing_is_added_edited_or_deleted_by_hand(operator: Client, run: int) -> None:
    assert operator.get(reverse("admin:featureflags_warmrun_add")).status_code == 403
    delete = reverse("admin:featureflags_warmrun_delete", args=[run])
    assert operator.post(delete, {"post": "yes"}).status_code == 403
    operator.post(page_of(run), {"state": "done", "users_planned": 1})
    assert WarmRun.objects.get().users_planned == 6
    elsewhere = operator.get(page_of(run + 1), follow=True)
    assert "This cache warm-up does not exist" in elsewhere.content.decode()
    assert WarmRange.objects.count() == 3
