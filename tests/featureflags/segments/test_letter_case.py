"""Case that does not count: one character for one, and the same texts as a database finds."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.segments.letter_case import MOST_VARIANTS, fold, variants
from tests.featureflags.segments.proof import SAMPLE

EVERY = [chr(code) for code in range(sys.maxunicode + 1)]
_ASCII = {code: chr(code).lower() for code in range(128)}


def lowered_by_a_database(text: str) -> str:
    """A to Z alone."""
    return text.translate(_ASCII)


def test_each_character_has_one_form_which_is_its_own() -> None:
    for one in EVERY:
        form = fold(one)
        assert len(form) == 1, hex(ord(one))
        assert fold(form) == form, hex(ord(one))
        assert form.isascii() is one.isascii(), hex(ord(one))


def test_case_is_that_of_unicode_wherever_one_character_becomes_one() -> None:
    def beyond_ascii(one: str) -> bool:
        return len(one.casefold()) == 1 and (one.isascii() or not one.casefold().isascii())

    wrong = [one for one in EVERY if beyond_ascii(one) and fold(one) != one.casefold()]
    assert wrong == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("MÜNCHEN", "münchen", True),
        ("ΟΔΟΣ", "οδος", True),
        ("ПРИВЕТ", "привет", True),
        ("STRASSE", "straße", False),
        ("\N{KELVIN SIGN}", "k", False),
        ("\N{LATIN SMALL LETTER LONG S}", "s", False),
        ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i", False),
    ],
)
def test_what_is_the_same(one: str, other: str, same: bool) -> None:
    assert (fold(one) == fold(other)) is same


def test_variants_are_all_that_fold_to_the_same() -> None:
    """For each character there is: what folds to the same is among its variants, and nothing else."""
    for one in EVERY:
        found = variants(one)
        assert found is not None
        assert lowered_by_a_database(one) in found, hex(ord(one))
        assert {fold(form) for form in found} == {fold(one)}, hex(ord(one))


@SAMPLE
@given(st.text(alphabet="aAkéÉßσςΣµμΜ\N{KELVIN SIGN}", max_size=9), st.data())
def test_a_text_matches_if_a_database_finds_it_among_the_variants(
    text: str, data: st.DataObject
) -> None:
    found = variants(text)
    if found is None:
        return
    assert len(found) <= MOST_VARIANTS
    assert len(set(found)) == len(found)
    other = data.draw(st.one_of(st.sampled_from(found).map(str.upper), st.text("aAéÉσςΣ")))
    assert (fold(other) == fold(text)) is (lowered_by_a_database(other) in found)


def test_a_text_with_too_many_letters_beyond_ascii_has_no_list() -> None:
    assert variants("é" * 6) is not None
    assert variants("é" * 7) is None
    assert variants("e" * 1_000) == ("e" * 1_000,)
