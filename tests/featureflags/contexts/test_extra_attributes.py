"""Extra attributes of a call: JSON passes, anything else is refused or left out."""

from __future__ import annotations

import datetime
import decimal
import json
import logging
import math
import uuid
from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from featureflags.contexts.building import row_context, with_extra
from featureflags.contexts.json_limits import json_problem
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.contexts.sendable import InvalidAttribute
from featureflags.core import monitoring
from tests.featureflags.contexts.snapshots import NOW, RULES, snapshot
from users.models import User


class TestExtraAttributes:
    base = row_context(snapshot(), RULES, NOW, source=ContextSource.LOADED)

    def test_they_apply_to_that_call_alone(self) -> None:
        before = self.base.context.to_dict()
        changed = with_extra(self.base, {"role": "admin", "cart": {"total": 3}}).context
        assert (changed.get("role"), changed.get("cart")) == ("admin", {"total": 3})
        assert self.base.context.to_dict() == before

    def test_segments_never_see_them(self) -> None:
        changed = with_extra(self.base, {"role": "admin"})
        assert changed.segments == ("employee", "established_user", "user")
        assert changed.context.get("segments") == ["employee", "established_user", "user"]

    def test_a_private_attribute_stays_private(self) -> None:
        changed = with_extra(self.base, {"email": "x@y.z"}).context.to_dict()
        assert "email" in changed["_meta"]["privateAttributes"]

    @pytest.mark.parametrize(
        "name", ["key", "kind", "anonymous", "_meta", "segments", "anonymous_key", ""]
    )
    def test_reserved_names_are_refused(self, name: str) -> None:
        with pytest.raises(InvalidAttribute, match=repr(name)):
            with_extra(self.base, {name: "x"})

    def test_a_name_that_is_not_text_is_refused_with_its_type(self) -> None:
        odd: Any = 5
        with pytest.raises(InvalidAttribute, match="int"):
            with_extra(self.base, {odd: "x"})

    @pytest.mark.parametrize(
        "value",
        [
            datetime.datetime.now(datetime.UTC),
            decimal.Decimal("1.5"),
            uuid.uuid4(),
            gettext_lazy("user"),
            {1, 2},
            b"bytes",
            (1, 2),
            math.nan,
            math.inf,
            10**400,
            "\ud800",
            object(),
            User(),
            QuerySet(User),
            {"a": {"b": [datetime.date.today()]}},  # noqa: DTZ011 - any date
            {1: "a"},
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_what_is_not_json_is_refused_by_name(self, value: Any, settings: Settings) -> None:
        with pytest.raises(InvalidAttribute, match="'cart'") as caught:
            with_extra(self.base, {"cart": value, "fine": 1})
        assert caught.value.attribute == "cart"

    def test_in_production_it_is_dropped_counted_and_logged_once(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "RAISE_INVALID_ATTRIBUTES": False}
        with caplog.at_level(logging.WARNING, "featureflags"):
            for _ in range(2):
                with_extra(self.base, {"cart": decimal.Decimal(1), "fine": 1})
            changed = with_extra(self.base, {"cart": decimal.Decimal(1), "fine": 1})
        assert changed.context.get("cart") is None
        assert changed.context.get("fine") == 1
        assert changed.degraded == (Degradation.ATTRIBUTE_DROPPED,)
        assert monitoring.counts()["attribute_dropped:cart"] == 3
        assert len(caplog.records) == 1

    def test_a_name_must_be_text(self) -> None:
        with pytest.raises(InvalidAttribute, match="'name'"):
            with_extra(self.base, {"name": 5})


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_all_json_passes(value: Any) -> None:
    assert json_problem(value) is None
    assert json.loads(json.dumps(value)) == value


ODD = st.one_of(
    JSON,
    st.datetimes(),
    st.decimals(),
    st.uuids(),
    st.binary(),
    st.floats(),
    st.fractions(),
    st.complex_numbers(),
    st.sets(st.integers()),
    st.tuples(JSON),
    st.text(st.characters(categories=["Cs", "L"])),
    st.integers(10**300, 10**320),
    st.builds(object),
)


@given(ODD | st.lists(ODD, max_size=3) | st.dictionaries(ODD.filter(_hashable), ODD, max_size=2))
def test_accepted_values_are_json_and_nothing_raises(value: Any) -> None:
    if json_problem(value) is None:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@given(ODD | st.lists(ODD, max_size=3))
def test_an_extra_attribute_makes_a_valid_context_or_an_error_that_names_it(value: Any) -> None:
    if json_problem(value) is None:
        found = with_extra(TestExtraAttributes.base, {"cart": value})
        assert found.context.valid
        assert json.loads(json.dumps(found.context.to_dict(), allow_nan=False))
    else:
        with pytest.raises(InvalidAttribute, match="'cart'"):
            with_extra(TestExtraAttributes.base, {"cart": value})
