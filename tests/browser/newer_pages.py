"""The pages around a segment and its changes, in the state in which people meet them, for tests of all of them.

site = fill(settings, flag_file, other)
for name, show in site.pages.items():
    show(page)
"""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from django.utils import timezone
from playwright.sync_api import Page
from pytest_django.fixtures import Settings

from featureflags.audience.stored_sizes import count_everything
from featureflags.editing import (
    approve,
    attempt_now,
    change_to,
    comment,
    dump_state,
    examine,
    examine_plan,
    make_plan,
)
from featureflags.models import PlannedChange, Segment, SegmentDraft
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

HERE: Final = "/admin/featureflags/segment"
LONG: Final = "A-name-that-somebody-typed-without-a-single-space-and-that-goes-on-and-on-until-here"
PRO: Final = [rule(clause("custom_plan", "in", "pro"), description="Who pays")]
EVERYTHING: Final = [
    rule(
        clause("last_seen_at", "inLast", "P14D"),
        clause("created_at", "between", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        clause("created_at", "within", "lastQuarter"),
        clause("created_at", "onDayOfYear", "12-24"),
        {
            **clause("name", "in", "Test", "Probe", negate=True),
            "ignoreCase": True,
            "orMissing": True,
        },
        clause("name", "matches", "^qa[0-9]+"),
        description="Of everything one",
        weight=12_500,
    ),
    rule(clause("custom_plan", "in", "pro")),
    rule(clause("custom_plan", "in", "pro", "pr0")),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What was filled in."""

    boss: User
    """May do everything, and has proposed nothing."""
    pages: Mapping[str, Callable[[Page], None]]
    """By name, what shows each one."""
    addresses: Mapping[str, str]
    """Those of them that an address leads to."""


def fill(settings: Settings, flag_file: FlagFile, other: str) -> Site:
    """People, segments, a flag, plans in every state, a draft. `other`: the address of another installation."""
    use(
        settings,
        APPROVE_LIVE_SEGMENTS=True,
        WEBHOOK_PRIVATE_ADDRESSES=True,
        INSTALLATIONS=[f"staging {other}/api/v1 gdn_{'0' * 40}"],
    )
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("premium")]))
    for number in range(30):
        UserFactory.create(
            name=f"Paula Park {number}",
            email=f"paula{number}@example.com",
            last_seen_at=timezone.now(),
            metadata={"plan": ("pro", "team")[number % 2], "country": "DE"},
        )
    boss = UserFactory.create(superuser=True, email="root@agpt.co", name="Root")
    mia = UserFactory.create(superuser=True, email="mia@agpt.co", name=f"Mia {LONG}")
    premium = SegmentFactory.create(
        key="premium", name="Premium", rules=PRO, owner=mia, tags=["checkout", "launch"]
    )
    SegmentMemberFactory.create(segment=premium, user=mia, reason="Asked for it")
    SegmentFactory.create(key="everything", name=LONG, rules=EVERYTHING, salt="1f0c")
    SegmentFactory.create(key="germans", rules=[rule(clause("custom_country", "in", "DE"))])
    count_everything()
    _approved(premium, mia, boss)
    waits = _proposed(premium, mia, note=f"Fewer, says {LONG}")
    comment(waits, boss, "Is this too few?")
    later = timezone.now() + datetime.timedelta(days=1)
    due = _proposed(premium, boss, note="", due_at=later)
    approve(due, examine_plan(due), approver=mia)
    wanted = Segment.objects.get(key="premium")
    wanted.rules = [rule(clause("custom_plan", "in", "team"))]
    draft = SegmentDraft.objects.create(
        segment_key="premium", state=dump_state(wanted.as_state()), author=mia
    )
    entry = f"{HERE}/history/premium/"
    addresses = {
        "dashboard": "/admin/",
        "proposals": f"{HERE}/proposals/",
        "proposal": f"{HERE}/proposals/{waits.pk}/",
        "scheduled": f"{HERE}/proposals/{due.pk}/",
        "draft": f"{HERE}/draft/{draft.token}/",
        "draft-people": f"{HERE}/draft/{draft.token}/people/",
        "overlap": f"{HERE}/overlap/?a=premium&b=germans&c=everything",
        "more": f"{HERE}/more/premium/",
        "installations": f"{HERE}/installations/",
        "installation": f"{HERE}/installations/staging/",
        "history": entry,
        "editor-waiting": f"{HERE}/{premium.pk}/change/",
        "editor-everything": f"{HERE}/{Segment.objects.get(key='everything').pk}/change/",
    }
    pages: dict[str, Callable[[Page], None]] = {
        name: _opens(address) for name, address in addresses.items()
    }
    pages["overlap-people"] = _follows(addresses["overlap"], "main table a")
    pages["editor-everything"] = _everything(addresses["editor-everything"])
    pages["before-and-after"] = _asked(addresses["editor-waiting"])
    pages["freeze"] = _presses(addresses["more"], 'button[value="freeze"]')
    pages["promote"] = _promoted(addresses["installation"])
    return Site(boss=boss, pages=pages, addresses=addresses)


def _proposed(segment: Segment, author: User, **options: Any) -> PlannedChange:
    wanted = Segment.objects.get(pk=segment.pk)
    wanted.rules = [rule(clause("custom_plan", "in", "team"), description="Only teams")]
    return make_plan(examine(change_to(wanted)), author=author, source="admin", **options)


def _approved(segment: Segment, author: User, by: User) -> None:
    wanted = Segment.objects.get(pk=segment.pk)
    wanted.rules = [rule(clause("custom_plan", "in", "pro", "gold"), description="Gold too")]
    plan = make_plan(examine(change_to(wanted)), author=author, source="admin", note="Gold")
    approve(plan, examine_plan(plan), approver=by)
    attempt_now(plan)
    assert plan.state == PlannedChange.State.APPLIED, plan.problem


def _opens(address: str) -> Callable[[Page], None]:
    def show(page: Page) -> None:
        answer = page.goto(address)
        assert answer is not None
        assert (address, answer.status) == (address, 200)

    return show


def _follows(address: str, selector: str) -> Callable[[Page], None]:
    def show(page: Page) -> None:
        page.goto(address)
        with page.expect_navigation():
            page.locator(selector).first.click()

    return show


def _presses(address: str, selector: str) -> Callable[[Page], None]:
    return _follows(address, selector)


def _promoted(address: str) -> Callable[[Page], None]:
    """What is asked before a segment of the other installation is written here."""

    def show(page: Page) -> None:
        page.goto(address)
        for box in page.locator('main input[name="segment"]').all():
            box.check()
        with page.expect_navigation():
            page.locator('button[name="way"][value="from"]').click()

    return show


def _everything(address: str) -> Callable[[Page], None]:
    """The options of conditions, an expression that is tried, what is odd, and one person who is tested."""

    def show(page: Page) -> None:
        page.goto(address)
        page.locator("input.rule-example").first.fill("qa7")
        page.locator(".impact .lint li").first.wait_for()
        page.locator(".impact-test input").fill("paula1@example.com")
        page.locator(".impact-test button").first.click()
        page.locator(".impact-answer section, .impact-answer p").first.wait_for()
        page.locator("fieldset.rule-percentages summary").click()

    return show


def _asked(address: str) -> Callable[[Page], None]:
    """What is asked before a change of a segment in use."""

    def show(page: Page) -> None:
        page.goto(address)
        page.locator(".rule-chip button").first.click()
        page.locator(".rule-box > input").first.press_sequentially("team,")
        with page.expect_navigation():
            page.locator('[name="_save"]').click()

    return show


@contextmanager
def another_installation() -> Iterator[str]:
    """The address of a server that has other segments."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Other)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


THEIRS: Final = {
    "segments": {
        "premium": {"key": "premium", "name": "Premium of staging", "rules": PRO, "version": 3},
        "theirs": {"key": "theirs", "name": LONG, "rules": PRO, "version": 1},
    },
    "names": {},
    "problems": {},
    "next": None,
}


class _Other(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(THEIRS)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_args: object) -> None:
        """Nothing."""
