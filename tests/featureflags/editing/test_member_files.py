"""Lists of users as people paste and upload them: cases as data."""

from __future__ import annotations

import datetime
import uuid
from contextlib import suppress

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from featureflags.editing.member_files import (
    LARGEST,
    Entry,
    UnreadableFile,
    decode,
    find_users,
    read_list,
)
from featureflags.models.changesets import MemberState
from tests.factories import UserFactory
from users.models import User

KEY = "6d0c0a52-6a1e-4c6b-9d5e-1f2a3b4c5d6e"
INCLUDED = MemberState(kind="include", reason="", expires_at=None)
UTC = datetime.UTC


def texts(text: str) -> list[str]:
    return [entry.text for entry in read_list(text).entries]


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
]


@pytest.mark.parametrize(("name", "text", "expected"), READ, ids=[case[0] for case in READ])
def test_who_is_named(name: str, text: str, expected: list[str]) -> None:
    read = read_list(text)
    assert [entry.text for entry in read.entries] == expected
    assert read.problems == ()


WRONG = [
    ("a@x.io\nnobody\n", "Line 2: there is no e-mail and no key in “nobody”."),
    ("nobody", "Line 1: there is no e-mail and no key in “nobody”."),
    ("email\na@x.io\n\n@x\n", "Line 4: there is no e-mail and no key in “@x”."),
    ("email,kind\na@x.io,maybe\n", "Line 2: the kind is include or exclude, not “maybe”."),
    ("email,expires_at\na@x.io,soon\n", "Line 2: “soon” is no moment."),
    (f"email,name\n{'x' * 90},\n", f"Line 2: there is no e-mail and no key in “{'x' * 59}…”."),
]


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_what_cannot_be_read_is_told_with_its_line(text: str, problem: str) -> None:
    (told,) = read_list(text).problems
    assert str(told).startswith(problem)


@override_settings(TIME_ZONE="Europe/Berlin")
def test_an_export_comes_back() -> None:
    text = (
        "key,email,name,kind,reason,expires_at\n"
        f"{KEY},a@x.io,Ada,exclude,Left,2027-01-31T12:00:00Z\n"
        f"{KEY},a@x.io,Ada,include,,\n"
        f"{KEY},a@x.io,Ada,INCLUDE,,2027-01-31 12:00\n"
    )
    noon = datetime.datetime(2027, 1, 31, 12, tzinfo=UTC)
    first, second, third = read_list(text).entries
    assert first == Entry(
        line=2, text=KEY, kind="exclude", reason="Left", expires_at=noon, says_when=True
    )
    assert (second.kind, second.reason, second.expires_at) == ("include", "", None)
    assert third.expires_at == noon - datetime.timedelta(hours=1)


class TestLimits:
    def test_size(self) -> None:
        for attempt in (
            lambda: decode(b"x" * (LARGEST + 1)),
            lambda: read_list("x" * (LARGEST + 1)),
        ):
            with pytest.raises(UnreadableFile, match="larger than 2 MB"):
                attempt()

    def test_rows(self, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "MAX_MEMBERS": 2}
        assert len(texts("a@x.io\nb@x.io")) == 2
        with pytest.raises(UnreadableFile, match="names 3 users; a segment holds at most 2"):
            read_list("a@x.io\nb@x.io\nc@x.io")

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings(self, encoding: str) -> None:
        assert decode("email,name\na@x.io,Jürgen".encode(encoding)) == "email,name\na@x.io,Jürgen"

    def test_another_encoding_is_told_with_its_line(self) -> None:
        with pytest.raises(UnreadableFile, match=r"Line 2 is not UTF-8\. Save the file as"):
            decode("email,name\na@x.io,Jürgen".encode("latin-1"))
        with pytest.raises(UnreadableFile, match="not UTF-8"):
            decode(b"\xff\xfea")

    def test_what_is_no_text(self) -> None:
        with pytest.raises(UnreadableFile, match="NUL"):
            read_list("a@x.io\0")
        with pytest.raises(UnreadableFile, match="Line 1 cannot be read"):
            read_list("x" * 200_000)


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    with suppress(UnreadableFile):
        read_list(text)


@pytest.mark.django_db
class TestFinding:
    def test_by_address_and_by_key(self) -> None:
        ada, bob = UserFactory.create(email="ada@x.io"), UserFactory.create(email="bob@x.io")
        read = read_list(f"ADA@x.io\n{bob.pk}\nnobody@x.io\n{uuid.UUID(int=7)}")
        found = find_users(read, INCLUDED)
        assert found.members == {str(ada.pk): INCLUDED, str(bob.pk): INCLUDED}
        assert tuple(map(str, found.problems)) == (
            "Line 3: nobody has the e-mail nobody@x.io.",
            f"Line 4: nobody has the key {uuid.UUID(int=7)}.",
        )

    def test_who_stands_there_twice(self) -> None:
        ada = UserFactory.create(email="ada@x.io")
        read = read_list(f"email,key,kind\nada@x.io,,\n,{ada.pk},\nada@x.io,,exclude\n")
        found = find_users(read, INCLUDED)
        assert found.members == {str(ada.pk): INCLUDED}
        assert tuple(map(str, found.repeated)) == (f"Line 3: {ada.pk} stands in line 2 too.",)
        assert tuple(map(str, found.problems)) == (
            "Line 4: ada@x.io stands in line 2 too, and says otherwise.",
        )

    def test_what_the_list_says_beats_what_the_form_says(self) -> None:
        user = UserFactory.create(email="ada@x.io")
        soon = datetime.datetime(2030, 1, 1, tzinfo=UTC)
        default = MemberState(kind="exclude", reason="Form", expires_at=soon)
        plain = find_users(read_list("ada@x.io"), default).members[str(user.pk)]
        assert plain == default
        text = "email,kind,reason,expires_at\nada@x.io,include,,\n"
        said = find_users(read_list(text), default).members[str(user.pk)]
        assert said == INCLUDED

    def test_thousands_cost_few_queries(self) -> None:
        users = User.objects.bulk_create(User(email=f"m{n}@x.io") for n in range(3_000))
        text = "\n".join(f"m{n}@x.io" for n in range(3_000)) + f"\n{users[0].pk}"
        with CaptureQueriesContext(connection) as queries:
            found = find_users(read_list(text), INCLUDED)
        assert len(found.members) == 3_000
        assert len(queries) == 4
