"""Calls that cannot be meant raise, and the value has the type of the default."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest
from django.template import Context, Template
from django.test import RequestFactory
from rest_framework.request import Request

from featureflags.contexts.results import Degradation
from featureflags.core.types import JSONValue
from featureflags.decorators import flag_required
from featureflags.evaluation import (
    ais_enabled,
    all_flags,
    avariation,
    avariation_detail,
    is_enabled,
    track,
    variation,
    variation_detail,
)
from featureflags.flags.value_types import MISMATCH, in_type_of
from featureflags.testing import FlagOverrides
from tests.conftest import FlagFile
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@sentinel.example"
SYNC: list[Any] = [is_enabled, variation, variation_detail]
AWAITED: list[Any] = [ais_enabled, avariation, avariation_detail]


@pytest.fixture
def page() -> HttpRequest:
    return RequestFactory().get("/")


class TestTheOrder:
    @pytest.mark.parametrize("ask", SYNC)
    def test_the_flag_comes_first(
        self, ask: Callable[..., object], page: HttpRequest, flag_file: FlagFile
    ) -> None:
        flag_file(**{"new-checkout": True})
        for first in (page, Request(page), UserFactory.create(), uuid.uuid4(), None, b"x", 5):
            with pytest.raises(TypeError, match=r'write is_enabled\("flag-key", user\)'):
                ask(first, "new-checkout")

    @pytest.mark.parametrize("ask", SYNC)
    def test_a_request_is_passed_by_name(
        self, ask: Callable[..., object], page: HttpRequest
    ) -> None:
        for request in (page, Request(page)):
            with pytest.raises(TypeError, match=r'is_enabled\("flag-key", request=request\)'):
                ask("new-checkout", request)

    @pytest.mark.parametrize("ask", AWAITED)
    async def test_awaited(self, ask: Callable[..., Any], page: HttpRequest) -> None:
        with pytest.raises(TypeError, match="The flag comes first"):
            await ask(page, "new-checkout")
        with pytest.raises(TypeError, match="request=request"):
            await ask("new-checkout", page)
        with pytest.raises(ValueError, match="must not contain an @"):
            await ask("new-checkout", ADDRESS)

    def test_a_decorator_without_its_argument(self, page: HttpRequest) -> None:
        with pytest.raises(TypeError, match=r'flag_required\("flag-key"\)'):
            flag_required(lambda request: None)  # type: ignore[arg-type]  # the mistake

    @pytest.mark.parametrize("default", ["no", 0, None])
    def test_a_default_that_is_not_a_boolean(self, default: Any) -> None:
        with pytest.raises(TypeError, match="default of is_enabled is True or False"):
            is_enabled("new-checkout", default=default)


class TestAddresses:
    @pytest.mark.parametrize("ask", SYNC)
    def test_an_address_never_becomes_a_key(self, ask: Callable[..., object]) -> None:
        key = str(uuid.uuid4())
        for user, visitor in ((ADDRESS, None), (None, ADDRESS), (key, ADDRESS)):
            with pytest.raises(ValueError, match="must not contain an @") as refused:
                ask("new-checkout", user, anonymous_key=visitor)
            assert "sentinel" not in str(refused.value)

    def test_nowhere(self) -> None:
        UserFactory.create(email=ADDRESS)
        calls: list[Callable[[], object]] = [
            lambda: all_flags(ADDRESS),
            lambda: track("bought", ADDRESS),
            lambda: track("bought", anonymous_key=ADDRESS),
            lambda: Template(
                "{% load featureflags %}{% flag 'new-checkout' user=who %}{% endflag %}"
            ).render(Context({"who": ADDRESS})),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="must not contain an @"):
                call()

    def test_an_anonymous_key_is_text(self) -> None:
        with pytest.raises(TypeError, match="anonymous_key is text, not a int"):
            is_enabled("new-checkout", anonymous_key=5)  # type: ignore[arg-type]  # the mistake


class TestTypesOfValues:
    @pytest.mark.parametrize(
        ("example", "value", "expected"),
        [
            (True, False, False),
            (True, 1, MISMATCH),
            (1, True, MISMATCH),
            (1, 7, 7),
            (1, 7.0, 7),
            (1, 2.5, MISMATCH),
            (1, 1e300, int(1e300)),
            (1, float("inf"), MISMATCH),
            (1.0, 7, 7.0),
            (1.0, 10**400, MISMATCH),
            (1.0, float("nan"), MISMATCH),
            ("", "x", "x"),
            ("", None, MISMATCH),
            ("", 5, MISMATCH),
            ([], {"any": "JSON"}, {"any": "JSON"}),
            (None, 5, 5),
        ],
    )
    def test_by_example(self, example: object, value: Any, expected: object) -> None:
        found = in_type_of(example, value)
        assert (found, type(found)) == (expected, type(expected))

    def test_the_value_has_the_type_of_the_default(self, flag_file: FlagFile) -> None:
        flag_file(limit=3.0, ratio=2, text="blue", plans=["free"])
        whole, ratio = variation("limit", default=1), variation("ratio", default=0.5)
        assert (whole, type(whole)) == (3, int)
        assert (ratio, type(ratio)) == (2.0, float)
        assert variation("plans", default=["none"]) == ["free"]
        wrong: dict[str, JSONValue] = {"text": 5, "limit": "x", "plans": False, "ratio": "x"}
        for key, default in wrong.items():
            detail = variation_detail(key, default=default)
            assert detail.value == default
            assert detail.degraded == (Degradation.WRONG_TYPE,)

    def test_also_where_the_user_is_degraded(self, flag_file: FlagFile) -> None:
        flag_file(text=5)
        detail = variation_detail("text", str(uuid.uuid4()), default="blue")
        assert detail.value == "blue"
        assert detail.degraded == (Degradation.NO_SUCH_USER, Degradation.WRONG_TYPE)

    def test_also_what_an_override_forces(self, flag_overrides: FlagOverrides) -> None:
        flag_overrides("text", 5)
        assert variation("text", default="blue") == "blue"
