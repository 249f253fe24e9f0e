"""Every list and form of the admin answers odd addresses: Django's redirect, 400 or 404, never 500."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import SuspiciousOperation
from django.db import models
from django.test import Client, RequestFactory
from django.urls import reverse

from featureflags.admin.shared.checked_lookups import CheckedLookups
from featureflags.core.input_gate import MOST_WORDS
from featureflags.models import Segment
from tests.factories import UserFactory
from users.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_stack]

LAST: Final = "9999-12-31T23:59:59-14:00"
FIRST: Final = "0001-01-01T00:00:00+14:00"
ENDLESS: Final = "9" * 5000
WORDS: Final = "+".join("word" for _ in range(5000))


def odd_values(field: models.Field[Any, Any]) -> Iterator[str]:
    """Parameters about one field."""
    name = field.name
    yield from (f"{name}={quote(value)}" for value in ("x", ENDLESS, "{}"))
    yield from (f"{name}__in=" + ",".join(map(str, range(2000))), f"{name}__range=1,2,3")
    yield from (f"{name}__isnull=maybe", f"{name}__regex=(x", f"{name}__nope=1")
    if isinstance(field, models.DateTimeField):
        yield from (f"{name}__{op}={quote(at)}" for op in ("gte", "lt") for at in (LAST, FIRST))
        for year in ("0", "-1", "9999", "99999999999"):
            yield from (f"{name}__year={year}", f"{name}__year={year}&{name}__month=12")


COMMON: Final = (
    *("o=99999", "o=-1.x.9", "p=-1", f"p={ENDLESS}", "all=", "e=1", "_to_field=nope", "nope=1"),
    *("_popup=1&_to_field=id", "_facets=True", f"q={WORDS}", f"q={'a' * 10_000}"),
)
IDS: Final = ("%00", "a%2F..%2Fb", "%D9%A3", ENDLESS)
CLASSES: Final = (
    "apikey",
    "segment",
    "segmentmember",
    "warmrun",
    "webhook",
    "webhookdelivery",
    "user",
)


@pytest.fixture
def staff(client: Client) -> Client:
    """Signed in. It gives 500 instead of raising."""
    client.force_login(UserFactory.create(superuser=True))
    client.raise_request_exception = False
    reverse("admin:index")  # Only now is every class registered.
    return client


def fields_of(model: type[models.Model]) -> dict[str, models.Field[Any, Any]]:
    """One of each class."""
    return {type(field).__name__: field for field in model._meta.concrete_fields}


def test_every_list_takes_any_parameters(staff: Client, rf: RequestFactory) -> None:
    """Ours take them in any project: without the gate before all views."""
    ours = [each for each in admin.site._registry.values() if isinstance(each, CheckedLookups)]
    assert {each.opts.model_name for each in ours} == set(CLASSES)
    tried: set[str] = set()
    for each in ours:
        fields = fields_of(each.model)
        odd = [f"{each.opts.pk.name}__range=1,2,3", "e=1"]
        odd += [one for name in fields.keys() - tried for one in odd_values(fields[name])]
        tried |= fields.keys()
        for parameters in odd if each.model is Segment else (*COMMON, *odd):
            request = rf.get("/", QUERY_STRING=parameters)
            request.user = User.objects.get()
            with suppress(IncorrectLookupParameters, SuspiciousOperation):
                found = each.get_changelist_instance(request)
                list(found.result_list)


def test_every_page_answers(staff: Client) -> None:
    broken = []
    for model in admin.site._registry:
        meta = model._meta
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        pages = [f"{url}{key}/change/" for key in IDS]
        pages += [f"{url}?{meta.pk.name}__range=1,2,3", f"{url}{'a' * 10_000}/history/"]
        for value in (LAST, ENDLESS):
            initial = {field.name: value for field in fields_of(model).values()}
            pages.append(f"{url}add/?{urlencode(initial)}")
        answers = [(page[:120], staff.get(page).status_code) for page in pages]
        broken += [answer for answer in answers if answer[1] >= 500]
    assert broken == []


@pytest.mark.parametrize("words", [MOST_WORDS, MOST_WORDS + 1])
def test_a_search_has_a_bound_that_is_said(staff: Client, words: int) -> None:
    UserFactory.create(email="found@example.com")
    answer = staff.get("/admin/users/user/", {"q": " ".join(["found"] * words)})
    is_searched = words == MOST_WORDS
    assert ("found@example.com" in answer.text) is is_searched
    assert ("Search for at most 20 words." in answer.text) is not is_searched


@pytest.mark.parametrize("lookup", ["regex", "iregex"])
def test_a_regular_expression_is_refused(staff: Client, lookup: str) -> None:
    """On SQLite Python would try it on each row, and this one for ever."""
    UserFactory.create(name="a" * 60)
    for page, field in (("users/user", "name"), ("featureflags/segment", "members__user__name")):
        answer = staff.get(f"/admin/{page}/", {f"{field}__{lookup}": "(a+)+$b"})
        assert answer.status_code == 400, page
