"""Texts that would break a page, in every page of the admin: no page breaks, no script runs, and what is
shown is exactly the text.

The pages are those of `test_every_admin_page`, also ones that are added later. An error on the console (a
refusal of the Content-Security-Policy is one) and an answer of 500 fail the test by themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import Page
from pytest_django.fixtures import Settings

from featureflags.editing import apply, change_to, comment, dump_state, examine, make_plan
from featureflags.models import HistoryEntry, PlannedChange, Segment, SegmentDraft, Webhook
from tests.browser.test_every_admin_page import OTHER, admin_pages
from tests.conftest import FlagFile
from tests.factories import SegmentMemberFactory, UserFactory, clause, rule, token_for
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

BEGIN, END = "Zq7Zq7", "7qZ"
"""Around each text, so that it is found whatever is beside it. A random token may hold three such letters."""
TEXTS: Final = {
    "markup": "</title></textarea></script><script>pwned=1</script><img src=x onerror='pwned=1'>",
    "attributes": '"\'` autofocus onfocus=pwned=1 x="&lt;&amp;&#39; javascript:pwned=1',
    "others": "{{7*7}}{% now 'Y' %}${7*7}%s%(x)s\\u003c\\\\ {0}"
    "\u202eabc\u202c 💥 Zoe\u0308 \u00ad\u200d ﷽ \ufffd",
}
"""The last: of templates and escapes, and letters that are not what they seem. A name has 100 letters."""

SHOWN = """() => {
    const found = [];
    const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        if (!['SCRIPT', 'STYLE'].includes(walker.currentNode.parentElement.tagName)) {
            found.push(walker.currentNode.data);
        }
    }
    for (const element of document.querySelectorAll('*')) {
        for (const name of ['title', 'aria-label', 'placeholder', 'alt']) {
            found.push(element.getAttribute(name) ?? '');
        }
        if ('value' in element && typeof element.value === 'string') found.push(element.value);
    }
    return found.filter(text => text.includes('BEGIN'));
}""".replace("BEGIN", BEGIN)
"""What a person or a screen reader gets: texts, labels, and the values of inputs."""


@pytest.fixture(params=list(TEXTS.values()), ids=list(TEXTS))
def hostile(request: pytest.FixtureRequest) -> str:
    return f"{BEGIN}{request.param}{END}"


@pytest.fixture
def samples(
    transactional_db: None, flag_file: FlagFile, settings: Settings, hostile: str
) -> Mapping[str, object]:
    """The text in each place of the database, and of the flags, that takes any."""
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "TESTERS": True, "INSTALLATIONS": [OTHER]}
    targeted = boolean_flag(hostile, rules=[segment_rule("rich")])
    flag_file(targeted | {"variations": [hostile, f"{hostile}2"]})
    person = UserFactory.create(name=hostile, metadata={"plan": hostile, hostile: hostile})
    Group.objects.create(name=hostile)
    person.groups.set(Group.objects.all())
    token_for(name=hostile)
    Webhook.objects.test(Webhook.objects.create(name=hostile, url="https://hooks.example.com/"))
    rules = [
        rule(clause("custom_plan", "in", hostile), clause("name", "contains", hostile)),
        rule(clause("groups", "in", hostile), description=hostile, id=hostile),
    ]
    segment = Segment.objects.create(key="rich", name="Rich", description=hostile, rules=rules[:1])
    SegmentMemberFactory.create(segment=segment, user=person, reason=hostile)
    segment.name, segment.rules = hostile, rules
    apply(examine(change_to(segment)), source="admin", note=hostile)
    return {
        "change": HistoryEntry.objects.filter(segment_key="rich").earliest("pk").pk,
        "key": person.pk,
        "id": person.pk,
        "app_label": "featureflags",
        "segment": "rich",
        "flag": hostile,
        "kind": "user",
        "name": "staging",
        "token": SegmentDraft.objects.create(
            segment_key="rich", state=dump_state(segment.as_state())
        ).token,
        "plan": proposed(segment, person, hostile).pk,
    }


def proposed(segment: Segment, author: User, text: str) -> PlannedChange:
    """A proposal that says the text wherever it can."""
    segment.description = f"{text} again"
    plan = make_plan(examine(change_to(segment)), author=author, source="admin", note=text)
    comment(plan, author, text)
    return plan


def visible(text: str) -> str:
    """As sentences write letters that cannot be seen."""
    return re.sub("[\\u202e\\u202c\\u00ad]", lambda one: f"\\u{ord(one.group()):04x}", text)


def broken(shown: list[str], text: str) -> Iterator[str]:
    """What is shown of the text and is not all of it, letter by letter.

    JSON may be shown as JSON, a cell may end with an ellipsis, and sentences write letters that cannot
    be seen as escapes.
    """
    json_text = json.dumps(text, ensure_ascii=False)[1:-1]
    for found in shown:
        for part in found.split(BEGIN)[1:]:
            whole = BEGIN + part
            forms = (text, visible(text), json.dumps(text)[1:-1], json_text, visible(json_text))
            is_cut = "…" in whole and text.startswith(whole[: whole.index("…")])
            if not is_cut and not whole.startswith(forms):
                yield whole[:200]


def test_no_page_breaks_and_no_script_runs(
    samples: Mapping[str, object], superuser_page: Page, hostile: str
) -> None:
    page = superuser_page
    addresses = sorted(set(admin_pages(samples)))
    assert len(addresses) >= 31
    wrong, showing = [], 0
    for address in addresses:
        answer = page.goto(address)
        assert answer is not None
        if answer.status != 200:
            wrong.append(f"{address}: {answer.status}")
            continue
        # After the scripts that wait until the page has loaded.
        page.evaluate("() => new Promise(done => setTimeout(done))")
        if page.evaluate("() => 'pwned' in window"):
            wrong.append(f"{address}: a script ran")
        shown = page.evaluate(SHOWN)
        showing += bool(shown)
        wrong += [f"{address}: {each!r}" for each in broken(shown, hostile)]
    assert not wrong, "\n".join(wrong)
    assert showing >= 20
