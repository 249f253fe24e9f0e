"""Conditions as people read them in the admin."""

from __future__ import annotations

import pytest
from django.utils import timezone

from featureflags.editing.condition_sentences import condition_in_words, label_of
from featureflags.segments.definitions import Clause


@pytest.mark.parametrize(
    ("attribute", "label"),
    [
        ("account_age_days", "Account age in days"),
        ("custom_plan", "plan"),
        ("custom_custom_plan", "custom_plan"),
        ("unheard_of", "unheard_of"),
    ],
)
def test_an_attribute_is_shown_by_its_label(attribute: str, label: str) -> None:
    assert label_of(attribute) == label


@pytest.mark.parametrize(
    ("clause", "sentence"),
    [
        (Clause(attribute="custom_plan", op="in", values=("pro", 1)), 'plan is any of "pro" or 1'),
        (
            Clause(attribute="name", op="contains", values=("x",), negate=True),
            'Name does not contain "x"',
        ),
        (
            Clause(attribute="name", op="contains", values=("x",), negate=True, or_missing=True),
            'Name does not contain "x", or is not known',
        ),
        (
            Clause(attribute="name", op="contains", values=("x",), ignore_case=True),
            'Name contains "x" in upper or lower case',
        ),
        (Clause(attribute="email_verified", op="in", values=(True,)), "E-mail verified is true"),
        (Clause(attribute="custom_plan", op="exists", values=()), "plan is known"),
        (
            Clause(attribute="", op="segmentMatch", values=("a", "b"), negate=True),
            'the user is not in segment "a" or "b"',
        ),
        (Clause(attribute="custom_plan", op="in", values=()), "plan is any of nothing"),
        (Clause(attribute="custom_plan", op="sounds", values=("x",)), 'plan sounds "x"'),
        (
            Clause(attribute="created_at", op="after", values=("soon",)),
            'Account created is after "soon"',
        ),
    ],
)
def test_a_condition_is_a_sentence(clause: Clause, sentence: str) -> None:
    assert condition_in_words(clause) == sentence


def test_a_date_is_shown_in_the_time_zone_of_the_site() -> None:
    clause = Clause(attribute="created_at", op="before", values=("2026-01-01T00:00:00+00:00",))
    with timezone.override("Asia/Tokyo"):
        sentence = condition_in_words(clause)
    assert sentence == "Account created is before Jan. 1, 2026, 9 a.m. (Asia/Tokyo)"
