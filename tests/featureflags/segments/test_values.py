"""Versions, instants and equality against the SDK's own parsers, and against plain cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldclient.impl.model import value_parsing

from featureflags.segments.values import parse_instant, parse_semver, same
from tests.featureflags.segments.proof import SAMPLE

# The SDK offers no public way to its parsers; through a flag they are compared in test_against_sdk.

_version_text = st.one_of(
    st.text(alphabet="0129.-+abR\n ", max_size=10),
    st.from_regex(r"\A[0-9]{1,2}(\.[0-9]{1,2}){0,3}(-[0-9a-z.]{1,4})?(\+[0-9a-z]{1,2})?\Z"),
)


@SAMPLE
@given(_version_text, _version_text)
def test_versions_sort_as_in_the_sdk(one: str, other: str) -> None:
    ours = [parse_semver(text) for text in (one, other)]
    theirs = [value_parsing.parse_semver(text) for text in (one, other)]
    assert [found is None for found in ours] == [found is None for found in theirs]
    if ours[0] is not None and ours[1] is not None:
        order = (ours[0] > ours[1]) - (ours[0] < ours[1])
        assert theirs[0] is not None
        assert theirs[1] is not None
        assert order == theirs[0].compare(theirs[1])


_instant_text = st.one_of(
    st.datetimes(timezones=st.timezones()).map(lambda found: found.isoformat()),
    st.datetimes().map(lambda found: found.isoformat() + "Z"),
    st.datetimes().map(lambda found: found.isoformat(" ", "milliseconds") + "z"),
    st.from_regex(
        r"\A[0-9]{4}-?(0[1-9]|1[0-2])-?[0-3][0-9][T ][0-2][0-9]:?[0-5][0-9](:?[0-5][0-9]([.,][0-9]{1,7})?)?"
        r"([zZ]|[+-][0-2][0-9]:?[0-5][0-9])?\n?\Z"
    ),
    st.text(alphabet="0123456789-:TZz+. W\n\ud800é", max_size=30),
)


@SAMPLE
@given(_instant_text)
def test_instants_are_read_as_in_the_sdk(text: str) -> None:
    assert parse_instant(text) == value_parsing.parse_time(text)


@pytest.mark.parametrize("value", [None, True, False, [], {}, b"2025", object()])
def test_only_text_and_numbers_can_be_instants(value: object) -> None:
    assert parse_instant(value) is None
    assert parse_semver(value) is None


def test_instants_are_exact_to_the_microsecond() -> None:
    texts = [f"2105-12-31T23:59:59.{number:06}Z" for number in range(100)]
    found = [parse_instant(text) for text in texts]
    assert len(set(found)) == 100
    assert found == sorted(found, key=lambda instant: instant or 0)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, None, True),
        (None, False, False),
        ([1, [2]], [1.0, [2.0]], True),
        ([1], [True], False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ({"a": 1, "b": {}}, {"b": {}, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": None}, {}, False),
        ({}, [], False),
        (float("nan"), float("nan"), False),
        (10**400, 10**400, True),
        (10**400, float("inf"), False),
        ("a", ["a"], False),
    ],
)
def test_equality_is_deep_and_never_coerces(one: object, other: object, *, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal
