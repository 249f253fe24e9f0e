"""Extra attributes and values of any sort: what is sent, and that nothing breaks an event."""

from __future__ import annotations

import decimal
import math
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from featureflags.contexts.results import Degradation
from featureflags.contexts.sendable import InvalidAttribute
from featureflags.evaluation import is_enabled, track, variation, variation_detail
from featureflags.evaluation.resolve import resolve
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.contexts.sending import HOSTILE, Nasty, sent
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User


@pytest.mark.django_db
class TestOneValue:
    """A value that cannot be sent is an error that names it, or is left out and counted."""

    @pytest.mark.parametrize("value", HOSTILE, ids=lambda value: type(value).__name__)
    def test_in_development_it_raises(self, value: Any, flag_file: Any) -> None:
        with pytest.raises(InvalidAttribute, match="'cart'"):
            variation("beta", "somebody", attributes={"cart": value})

    def test_the_message_does_not_show_the_value(self, flag_file: Any) -> None:
        for value in [{5.25: "x"}, decimal.Decimal("5.25"), {"a": [5.25, Nasty()]}]:
            with pytest.raises(InvalidAttribute) as caught:
                variation("beta", "somebody", attributes={"cart": value})
            assert "5.25" not in str(caught.value)

    @pytest.mark.parametrize(
        ("data", "metric"), [(object(), None), (math.nan, None), (None, math.nan), (None, True)]
    )
    def test_so_do_what_is_tracked_and_its_number(
        self, data: Any, metric: Any, flag_file: Any
    ) -> None:
        with pytest.raises(InvalidAttribute, match=r"data|metric_value"):
            track("bought", "somebody", data=data, metric_value=metric)

    def test_a_default_that_is_not_json_is_still_returned(self, flag_file: Any) -> None:
        default: Any = decimal.Decimal(1)
        assert variation("missing", "somebody", default=default) is default

    def test_lists_are_copied_before_their_owner_changes_them(
        self, launchdarkly: LaunchDarklyServer, ada: User
    ) -> None:
        cart: list[Any] = [{"id": 1}]
        is_enabled("beta", "somebody", attributes={"cart": cart})
        ada.metadata["tags"] = tags = ["a"]
        is_enabled("beta", ada)
        cart[0]["id"] = object()
        tags.append(object())  # type: ignore[arg-type]  # as a careless caller would
        text = sent(launchdarkly)
        assert '"somebody"' in text
        assert str(ada.pk) in text


@pytest.mark.django_db
class TestSizes:
    @pytest.fixture(autouse=True)
    def small(self, settings: Settings, flag_file: Any) -> None:
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "MAX_ATTRIBUTE_BYTES": 200,
            "MAX_CONTEXT_BYTES": 600,
        }

    def test_of_one_attribute(self, settings: Settings) -> None:
        with pytest.raises(InvalidAttribute, match=r"'cart' takes 2\d\d bytes as JSON; 200 are"):
            variation("beta", "somebody", attributes={"cart": "é" * 100})
        variation("beta", "somebody", attributes={"cart": "é" * 90})

    def test_of_a_context_the_largest_go_first(self, settings: Settings) -> None:
        extra = {f"a{n}": "x" * (100 + n) for n in range(6)}
        with pytest.raises(InvalidAttribute, match="'a5' makes the context too large"):
            variation("beta", "somebody", attributes=extra)
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": False}
        detail = variation_detail("beta", "somebody", attributes=extra)
        assert Degradation.ATTRIBUTE_DROPPED in detail.degraded

    def test_segments_and_key_are_never_left_out(self, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": False}
        keys = [f"segment-with-a-rather-long-key-{n}" for n in range(30)]
        for key in keys:
            SegmentFactory.create(key=key, rules=[rule(clause("role", "in", "user"))])
        found = resolve(UserFactory.create())
        assert set(keys) <= set(found.context.get("segments"))
        assert found.context.get("email") is None
        assert Degradation.ATTRIBUTE_DROPPED in found.degraded
