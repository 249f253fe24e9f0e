"""What can be stored can be shown, and nothing that comes in from outside breaks a view.

Every page of the admin and every endpoint is asked, new ones too: for valid definitions at the
edges of what is valid, and for hostile addresses, parameters, forms, bodies and headers.
"""

from __future__ import annotations

import datetime
import json
import zoneinfo
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from featureflags.models import Segment, SegmentMember
from tests.conftest import FlagFile
from tests.factories import SegmentMemberFactory, UserFactory, clause, rule, token_for
from tests.featureflags.segments.strategies import FAMILIES
from tests.profiles import DEEP
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

ZONES: Final = ("UTC", "Asia/Tokyo", "Pacific/Pago_Pago")
LAST = "9999-12-31T23:59:59Z"
DATES: Final = (
    *("9999-12-31T23:59:59-14:00", LAST, "9999-12-31T23:59:59.999999Z"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1970-01-01T00:00:00Z"),
)
NAMES: Final = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30
).filter(lambda text: bool(text.strip()))


def dated(*dates: str) -> list[dict[str, Any]]:
    """Rules that compare the creation of an account with each of these dates."""
    return [rule(clause("created_at", "before", date)) for date in dates]


@st.composite
def definitions(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rules of all families, many of which are valid."""
    rules = []
    for _index in range(draw(st.integers(1, 3))):
        family = FAMILIES[draw(st.sampled_from(sorted(FAMILIES)))]
        values = draw(st.lists(family.clause_values, min_size=1, max_size=3))
        attribute = draw(st.sampled_from(["custom_plan", "created_at", "name", "role", "groups"]))
        op = draw(st.sampled_from(family.ops))
        rules.append(rule(clause(attribute, op, *values, negate=draw(st.booleans()))))
    return rules


@pytest.fixture
def root(flag_file: FlagFile, transactional_db: None) -> User:
    flag_file(
        boolean_flag("new-checkout", rules=[segment_rule("edge")]),
        boolean_flag("with/slash", rules=[segment_rule("edge")]),
        boolean_flag("50% off?#&", rules=[segment_rule("edge")]),
    )
    return UserFactory.create(superuser=True, metadata={"plan": "pro"})


def store(rules: list[dict[str, Any]], name: str, description: str) -> Segment | None:
    """The segment `edge`, if the model takes it."""
    segment = Segment.objects.filter(key="edge").first() or Segment(key="edge")
    segment.name, segment.description, segment.rules = name, description, rules
    try:
        segment.full_clean()
        segment.save()
    except ValidationError:
        return None
    return segment


def pages_about(segment: Segment, user: User) -> Iterator[str]:
    """Every page and endpoint that shows the segment, or a flag that uses it."""
    admin = "/admin/featureflags/segment"
    yield from (f"{admin}/", f"{admin}/{segment.pk}/change/", f"{admin}/{segment.pk}/delete/")
    yield from (f"{admin}/{segment.pk}/history/", f"{admin}/deleted/", "/admin/", "/")
    for page in ("history/edge", "history/edge/compare", "by-name/edge", "members/edge", "flags"):
        yield f"{admin}/{page}/"
    for flag in ("new-checkout", "with/slash", "50% off?#&"):
        yield f"{admin}/flags/{quote(flag)}/"
        yield f"{admin}/why/flag/{quote(flag)}/{user.pk}/"
        yield f"/api/v1/flags/{quote(flag)}/"
    yield f"{admin}/why/segment/edge/{user.pk}/"
    yield f"{admin}/user-context/{user.pk}/"
    yield from ("/admin/featureflags/segmentmember/", "/admin/users/user/", "/admin/logout/")
    api = "/api/v1"
    yield from (f"{api}/segments/", f"{api}/segments/edge/", f"{api}/segments/edge/history/")
    yield from (f"{api}/segments/edge/members/", f"{api}/contexts/user/{user.pk}/")
    yield from (
        f"{api}/context-flags/user/{user.pk}/",
        f"{api}/users/me/",
        f"{api}/users/me/context/",
    )


@settings(max_examples=8 if DEEP else 4, suppress_health_check=list(HealthCheck), deadline=None)
@given(rules=definitions(), name=NAMES, description=NAMES, zone=st.sampled_from(ZONES))
@example(rules=dated(*DATES), name="Edge", description="", zone="UTC")
@example(rules=dated(*DATES), name="Edge", description="", zone="Asia/Tokyo")
@example(rules=dated(*DATES), name="Edge", description="", zone="Pacific/Pago_Pago")
@example(rules=dated(LAST), name="</title><script>", description="{{ 1 }}{%", zone="Asia/Tokyo")
def test_what_can_be_stored_can_be_shown(
    root: User, rules: list[dict[str, Any]], name: str, description: str, zone: str
) -> None:
    with timezone.override(zoneinfo.ZoneInfo(zone)):
        segment = store(rules, name, description)
        if segment is None:
            return
        client = Client(raise_request_exception=False)
        client.force_login(root)
        broken = {
            page: status
            for page in pages_about(segment, root)
            if (status := client.get(page).status_code) >= 400 and page != "/admin/logout/"
        }
        assert broken == {}


@pytest.mark.parametrize("zone", ZONES)
def test_a_membership_until_the_end_of_the_calendar_is_shown(root: User, zone: str) -> None:
    segment = store(dated(LAST), "Edge", "")
    assert segment is not None
    last = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC)
    later = last + datetime.timedelta(seconds=1)
    refused = SegmentMember(segment=segment, user=root, kind="include", expires_at=later)
    with pytest.raises(ValidationError):
        refused.full_clean()
    SegmentMemberFactory.create(segment=segment, user=root, expires_at=last)
    with timezone.override(zoneinfo.ZoneInfo(zone)):
        client = Client(raise_request_exception=False)
        client.force_login(root)
        broken = {
            page: status
            for page in pages_about(segment, root)
            if (status := client.get(page).status_code) >= 400 and page != "/admin/logout/"
        }
        assert broken == {}


HALF = chr(0xD800)
"""Of a surrogate pair. Not a literal: mypy would fail to store it."""
OF_THE_DATABASE: Final = ("a\x00b", HALF, "9" * 5000, "-1", "💥" * 300, "99999999999999999999")
"""Each database refuses other texts and numbers."""
OF_OUR_CODE: Final = ("a/b", "%00", "'\"><script>", "null", "[]", "\r\nX: y")
"""A text like any other to both databases: one stack is enough."""
HOSTILE: Final = (
    *OF_THE_DATABASE,
    *(pytest.param(each, marks=pytest.mark.embedded_stack) for each in OF_OUR_CODE),
)
SKIPPED: Final = {"logout", "jsi18n"}
"""One ends the session; the other is Django's own, for scripts."""


def addresses(hostile: str, root: User) -> Iterator[str]:
    """Every address of the site, with this text in each place that takes any."""
    text = quote(hostile.encode("utf-8", "surrogatepass"), safe="")
    for pattern, before in patterns(get_resolver("config.urls"), ""):
        if pattern.name in SKIPPED:
            continue
        route = before + str(pattern.pattern)
        yield "/" + filled(route, text, root)


def patterns(resolver: URLResolver, before: str) -> Iterator[tuple[URLPattern, str]]:
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            yield from patterns(each, before + str(each.pattern))
        else:
            yield each, before


def filled(route: str, text: str, root: User) -> str:
    """A route with its converters, or the groups of its expression, filled."""
    found = route.replace("^", "").replace("$", "").replace("\\Z", "").replace("\\.", ".")
    for name, value in (("<uuid:", str(root.pk)), ("<int:", "1")):
        while name in found:
            start = found.index(name)
            found = found[:start] + value + found[found.index(">", start) + 1 :]
    while "(?P<" in found:
        start, depth = found.index("(?P<"), 0
        for end in range(start, len(found)):
            depth += {"(": 1, ")": -1}.get(found[end], 0)
            if depth == 0:
                break
        found = found[:start] + text + found[end + 1 :]
    while "<" in found:
        start = found.index("<")
        found = found[:start] + text + found[found.index(">", start) + 1 :]
    return found


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_nothing_from_outside_breaks_a_view(root: User, hostile: str) -> None:
    store(dated(LAST), "Edge", "")
    client = Client(raise_request_exception=False)
    client.force_login(root)
    client.cookies["guidon_tester"] = client.cookies["guidon_visitor"] = "x"
    body = json.dumps({"name": hostile, "note": hostile, "key": hostile, "context": hostile})
    sent = quote(hostile.encode("utf-8", "surrogatepass"), safe="")
    names = (
        "q",
        "page",
        "page_size",
        "ordering",
        "search",
        "note",
        "old",
        "new",
        "p",
        "after",
        "e",
    )
    query = "&".join(f"{name}={sent}" for name in names)
    form = "&".join(
        f"{name}={sent}" for name in ("name", "note", "_note", "_version", "rules", "user", "key")
    )
    match = {"If-Match": f'"{ascii(hostile)[1:-1]}"', "If-None-Match": '"' + "9" * 5000 + '"'}
    token = token_for(root)
    as_program = Client(raise_request_exception=False, headers={"authorization": f"Bearer {token}"})
    broken: dict[str, int] = {}

    def check(what: str, answer: Any) -> None:
        if answer.status_code >= 500 and answer.status_code != 503:
            broken[what[:120]] = answer.status_code

    form_type = "application/x-www-form-urlencoded"
    for address in addresses(hostile, root):
        check(f"GET {address}", client.get(f"{address}?{query}", headers=match))
        check(f"POST {address}", client.post(address, form, content_type=form_type))
        if address.startswith(("/api/", "/ofrep/")):
            for method in ("post", "put", "patch", "delete"):
                ask = getattr(as_program, method)
                check(f"{method} {address}", ask(address, body, "application/json", headers=match))
    assert broken == {}


def test_text_that_cannot_be_stored_is_refused_by_name(root: User) -> None:
    client = Client(headers={"authorization": f"Bearer {token_for(root)}"})
    for text in ("a\x00b", HALF):
        body = json.dumps({"name": text})
        answer = client.patch("/api/v1/users/me/", body, "application/json")
        assert (answer.status_code, "name" in answer.json()["errors"]) == (
            400,
            True,
        )
    assert client.get("/api/v1/segments/%00/history/").status_code == 404
    assert client.get("/api/v1/segments/?search=%00").status_code == 400
