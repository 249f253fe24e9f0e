"""Regular expressions: what they find, what they refuse, and forks while they match."""

from __future__ import annotations

from pathlib import Path

import pytest

from featureflags.segments.regexes import Regex
from tests.profiles import DEEP
from tests.services.processes import run_python

FORKS = 2_000 if DEEP else 40
ROOT = Path(__file__).resolve().parents[3]


def test_it_is_found_anywhere() -> None:
    regex = Regex("^qa[0-9]+@|intern")
    assert regex.found_in("qa7@agpt.co")
    assert regex.found_in("an intern")
    assert not regex.found_in("QA7@agpt.co")


@pytest.mark.parametrize(("pattern", "words"), [("(", "missing"), ("\ud800", "half a character")])
def test_an_invalid_expression_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Regex(pattern)


def test_half_a_character_cannot_be_seen() -> None:
    with pytest.raises(UnicodeEncodeError):
        Regex("x").found_in("\ud800")


def test_forks_while_threads_match_do_not_hang() -> None:
    """Without care one in some hundreds does, in RE2's own lock; each child shows that it takes it."""
    program = ("-m", "tests.featureflags.segments.forking", str(FORKS))
    done = run_python({}, *program, timeout=60 + FORKS)
    assert done.stdout.splitlines() == ["ok"] * FORKS, done.stderr
