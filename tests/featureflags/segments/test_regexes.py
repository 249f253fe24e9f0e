"""Regular expressions: what they find, what they refuse, and forks while they match."""

from __future__ import annotations

import json
import re
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


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        *(("a(?=b)", "ab"), ("a(?!b)", "ac"), ("(?<=a)b", "ab"), ("(?<!a)b", "cb")),
        *((r"(a)\1", "aa"), ("(?P<n>a)(?P=n)", "aa"), ("(a)(?(1)b)", "ab"), ("(?#c)a", "a")),
        *(
            ("(?x) a", "a"),
            ("(?a)a", "a"),
            (r"\u00e9", "é"),
            (r"a\Z", "a"),
            ("a{1001}", "a" * 1001),
        ),
        (r"\N{BULLET}", "•"),
    ],
)
def test_what_re_takes_and_re2_refuses(pattern: str, text: str) -> None:
    """Each is named in docs/developers/regular-expressions.md."""
    assert re.search(pattern, text)
    with pytest.raises(ValueError, match=r"\w"):
        Regex(pattern)


def test_every_difference_of_the_documentation_is_a_case() -> None:
    page = (ROOT / "docs/developers/regular-expressions.md").read_text()
    table = page.partition("## Where")[2].partition("## What")[0]
    rows = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)[1:]
    assert len(rows) >= 13
    cases = json.loads((Path(__file__).parent / "cases" / "differences.json").read_text())["cases"]
    clauses = [case["segments"][0]["rules"][0]["clauses"] for case in cases]
    patterns = [one["values"][0] for found in clauses for one in found if one["op"] == "matches"]
    for row in rows:
        for shown in re.findall("`([^`]+)`", row):
            sought = shown.replace("…", "").replace(r"\Q\E", r"\Q").replace("(?<n>)", "(?<n>")
            sought = {"a(?i)b": "a(?i)", r"\p{Greek}": r"\p"}.get(sought, sought)
            assert any(sought in pattern for pattern in patterns), shown


def test_half_a_character_cannot_be_seen() -> None:
    with pytest.raises(UnicodeEncodeError):
        Regex("x").found_in("\ud800")


def test_forks_while_threads_match_do_not_hang() -> None:
    """Without care one in some hundreds does, in RE2's own lock; each child shows that it takes it."""
    program = ("-m", "tests.featureflags.segments.forking", str(FORKS))
    done = run_python({}, *program, timeout=60 + FORKS)
    assert done.stdout.splitlines() == ["ok"] * FORKS, done.stderr
