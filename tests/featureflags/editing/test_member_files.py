"""Lists of users as people paste and upload them: cases as data."""

from __future__ import annotations

import datetime
import uuid
from contextlib import suppress

import pytest
from django.test import RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from featureflags.admin.members.list import COLUMNS, cells_of
from featureflags.admin.streaming import csv_response
from featureflags.core.input_gate import LATEST
from featureflags.editing.member_files import (
    LARGEST_FILE,
    MemberLine,
    UnreadableFile,
    decode_file,
    read_member_list,
)
from featureflags.kinds.registry import user_kind
from featureflags.models import SegmentMember
from featureflags.models.changesets import MemberState
from users.models import User

KEY = "6d0c0a52-6a1e-4c6b-9d5e-1f2a3b4c5d6e"
INCLUDED = MemberState(kind="include", reason="", expires_at=None)
UTC = datetime.UTC


def texts(text: str) -> list[str]:
    return [line.text for line in read_member_list(text).lines]


READ: list[tuple[str, str, list[str]]] = [
    ("one per line", "a@x.io\nb@x.io\n", ["a@x.io", "b@x.io"]),
    ("windows", "a@x.io\r\nb@x.io\r\n", ["a@x.io", "b@x.io"]),
    ("old macs", "a@x.io\rb@x.io", ["a@x.io", "b@x.io"]),
    ("on one line", "a@x.io, b@x.io; c@x.io", ["a@x.io", "b@x.io", "c@x.io"]),
    ("with blanks", "  a@x.io   b@x.io ", ["a@x.io", "b@x.io"]),
    ("empty lines", "\n\na@x.io\n\n\nb@x.io\n", ["a@x.io", "b@x.io"]),
    ("in capitals", "ADA@X.io", ["ada@x.io"]),
    ("keys", f"{KEY}\n{KEY.upper()}\n{KEY.replace('-', '')}", [KEY, KEY, KEY]),
    ("with a heading", "Email\na@x.io", ["a@x.io"]),
    ("with a heading of one's own", "Adresse\na@x.io", ["a@x.io"]),
    ("other columns", "name,email,plan\nAda,a@x.io,pro\n", ["a@x.io"]),
    ("semicolons", "name;e-mail\nAda;a@x.io\n", ["a@x.io"]),
    ("tabs", "E-mail address\tname\na@x.io\tAda\n", ["a@x.io"]),
    ("quotes", '"name","email"\n"Adler, Ada","a@x.io"\n', ["a@x.io"]),
    ("a cell of two lines", 'name,email\n"Ada\nAdler",a@x.io\n', ["a@x.io"]),
    ("key before e-mail", f"email,key\na@x.io,{KEY}\n", [KEY]),
    ("e-mail where there is no key", "key,email\n,a@x.io\n", ["a@x.io"]),
    ("from a mail program", "Ada Adler <ada@x.io>, Bob <b@x.io>", ["ada@x.io", "b@x.io"]),
    ("a mark at the front", "\ufeffemail\na@x.io", ["a@x.io"]),
    ("what an export made harmless", "email\n'=a@x.io", ["=a@x.io"]),
    ("no header, other cells", "Ada,a@x.io,pro\nBob,b@x.io,free", ["a@x.io", "b@x.io"]),
    ("nothing", " \n \n", []),
    ("a spreadsheet's first line", "sep=;\nemail;name\na@x.io;Ada, of us\n", ["a@x.io"]),
    ("the same, without a header", "\ufeffSEP=\t\r\na@x.io\tAda\r\n", ["a@x.io"]),
    ("links", "mailto:a@x.io\nmailto:B%2Bc@x.io?subject=hi", ["a@x.io", "b+c@x.io"]),
    (
        "without a width",
        "\u200be\u200bmail\n\u2060a@x.io\u200b\n\ufeffb@\u200dx.io",
        ["a@x.io", "b@x.io"],
    ),
    ("marks of two files", "\ufeffa@x.io\n\ufeffb@x.io", ["a@x.io", "b@x.io"]),
    (
        "a separator in a cell",
        "email,name\na@x.io,Ada\u2028\x0bAdler\nb@x.io,B",
        ["a@x.io", "b@x.io"],
    ),
]


@pytest.mark.parametrize(("name", "text", "expected"), READ, ids=[case[0] for case in READ])
def test_who_is_named(name: str, text: str, expected: list[str]) -> None:
    read = read_member_list(text)
    assert [line.text for line in read.lines] == expected
    assert read.problems == ()


WRONG = [
    ("a@x.io\nnobody\n", "Line 2: “nobody” contains no e-mail and no key."),
    ("nobody", "Line 1: “nobody” contains no e-mail and no key."),
    ("email\na@x.io\n\n@x\n", "Line 4: “@x” contains no e-mail and no key."),
    ("email,kind\na@x.io,maybe\n", "Line 2: the kind is include or exclude, not “maybe”."),
    ("email,expires_at\na@x.io,soon\n", "Line 2: “soon” is not a date and time."),
    (f"email,name\n{'x' * 90},\n", f"Line 2: “{'x' * 59}…” contains no e-mail and no key."),
]


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_an_unreadable_line_is_reported_with_its_number(text: str, problem: str) -> None:
    (remark,) = read_member_list(text).problems
    assert str(remark).startswith(problem)


@override_settings(TIME_ZONE="Europe/Berlin")
def test_an_export_comes_back() -> None:
    text = (
        "key,email,name,kind,reason,expires_at\n"
        f"{KEY},a@x.io,Ada,exclude,Left,2027-01-31T12:00:00Z\n"
        f"{KEY},a@x.io,Ada,include,,\n"
        f"{KEY},a@x.io,Ada,INCLUDE,,2027-01-31 12:00\n"
    )
    noon = datetime.datetime(2027, 1, 31, 12, tzinfo=UTC)
    first, second, third = read_member_list(text).lines
    assert first == MemberLine(
        line=2, text=KEY, kind="exclude", reason="Left", expires_at=noon, has_expiry=True
    )
    assert (second.kind, second.reason, second.expires_at) == ("include", "", None)
    assert third.expires_at == noon - datetime.timedelta(hours=1)


WORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200
) | st.text("'=+-@\t\r\n ,;\"\u2028\x0b\x85\u200b\u202ea", max_size=12)


INSTANTS = st.none() | st.datetimes(timezones=st.just(UTC)).filter(lambda at: at < LATEST)


@given(
    reasons=st.lists(WORDS, min_size=1, max_size=4),
    name=WORDS,
    kind=st.sampled_from(["include", "exclude"]),
    starts_at=INSTANTS,
    expires_at=INSTANTS,
)
def test_every_export_comes_back_as_it_was(
    reasons: list[str],
    name: str,
    kind: str,
    starts_at: datetime.datetime | None,
    expires_at: datetime.datetime | None,
) -> None:
    """A reason with U+2028 or a vertical tab broke the row in two; blanks at its ends were lost."""
    members = [
        SegmentMember(
            user=User(id=uuid.UUID(int=number), email=f"{number}@x.io", name=name),
            kind=kind,
            reason=reason,
            starts_at=starts_at,
            expires_at=expires_at,
        )
        for number, reason in enumerate(reasons)
    ]
    rows = (cells_of(member, user_kind(), member.user) for member in members)
    answer = csv_response(
        RequestFactory().get("/"), "x.csv", (*user_kind().heading, *COLUMNS), rows
    )
    read = read_member_list(decode_file(answer.getvalue()))
    assert read.problems == ()
    assert [
        (line.text, line.kind, line.reason, line.starts_at, line.expires_at) for line in read.lines
    ] == [
        (str(one.user_id), one.kind, one.reason, one.starts_at, one.expires_at) for one in members
    ]


def test_what_was_typed_by_hand_loses_the_blanks_around_it() -> None:
    [line] = read_member_list("email, kind, reason\na@x.io, exclude, Left us \n").lines
    assert (line.kind, line.reason) == ("exclude", "Left us")


class TestLimits:
    def test_size(self) -> None:
        for attempt in (
            lambda: decode_file(b"x" * (LARGEST_FILE + 1)),
            lambda: read_member_list("x" * (LARGEST_FILE + 1)),
        ):
            with pytest.raises(UnreadableFile, match="larger than 2 MB"):
                attempt()

    def test_rows(self, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "MAX_MEMBERS": 2}
        assert len(texts("a@x.io\nb@x.io")) == 2
        with pytest.raises(UnreadableFile, match="names 3 users; a segment holds at most 2"):
            read_member_list("a@x.io\nb@x.io\nc@x.io")

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings(self, encoding: str) -> None:
        assert (
            decode_file("email,name\na@x.io,Jürgen".encode(encoding)) == "email,name\na@x.io,Jürgen"
        )

    def test_another_encoding_is_reported_with_its_line(self) -> None:
        with pytest.raises(UnreadableFile, match=r"Line 2 is not UTF-8\. Save the file as"):
            decode_file("email,name\na@x.io,Jürgen".encode("latin-1"))
        with pytest.raises(UnreadableFile, match="not UTF-8"):
            decode_file(b"\xff\xfea")

    def test_a_file_that_is_not_text_is_refused(self) -> None:
        with pytest.raises(UnreadableFile, match="NUL"):
            read_member_list("a@x.io\0")
        with pytest.raises(UnreadableFile, match="Line 1 cannot be read"):
            read_member_list("x" * 200_000)


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    with suppress(UnreadableFile):
        read_member_list(text)
