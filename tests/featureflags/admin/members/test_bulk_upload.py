"""The import of members by name: a pasted list or a file."""

from __future__ import annotations

import datetime
import unicodedata
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.models import Segment, SegmentMember
from tests.conftest import FlagFile
from tests.factories import SegmentMemberFactory, UserFactory
from tests.featureflags.admin.asking import answer, reasons
from tests.featureflags.admin.members.pages import (
    IMPORT,
    entries_since,
    form,
    listed,
    members,
    newest,
    shown,
)
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("a_quiet_site")]


class TestImport:
    @pytest.fixture
    def people(self) -> list[User]:
        return [UserFactory.create(email=f"{name}@x.io") for name in ("ada", "bob", "cy")]

    def test_a_pasted_list_is_one_entry(
        self, staff: Client, beta: Segment, people: list[User]
    ) -> None:
        before = newest()
        text = f"ADA@x.io, bob@x.io\n{people[2].pk}"
        saved = staff.post(IMPORT, listed(text, kind="exclude", reason="Left"), follow=True)
        assert shown(saved) == ["3 memberships were changed."]
        assert members() == dict.fromkeys(("ada@x.io", "bob@x.io", "cy@x.io"), "exclude")
        (entry,) = entries_since(before)
        assert entry.members.count() == 3
        assert set(SegmentMember.objects.values_list("reason", flat=True)) == {"Left"}

    def test_an_uploaded_file(self, staff: Client, beta: Segment, people: list[User]) -> None:
        file = SimpleUploadedFile("list.csv", "name,email\nAda,ada@x.io\n".encode("utf-16"))
        staff.post(IMPORT, form(file=file, missing="all"))
        assert members() == {"ada@x.io": "include"}

    def test_the_list_is_replaced_where_that_is_chosen(
        self, staff: Client, beta: Segment, people: list[User]
    ) -> None:
        for person in people[:2]:
            SegmentMemberFactory.create(segment=beta, user=person)
        staff.post(IMPORT, listed("bob@x.io\ncy@x.io", kind="exclude"))
        assert members() == {"ada@x.io": "include", "bob@x.io": "exclude", "cy@x.io": "exclude"}
        saved = staff.post(IMPORT, {**listed("cy@x.io"), "others": "replace"}, follow=True)
        assert shown(saved)[-1] == "3 memberships were changed."
        assert members() == {"cy@x.io": "include"}

    def test_an_export_is_read_back_with_members_who_have_ended(
        self, staff: Client, beta: Segment, people: list[User]
    ) -> None:
        reasons = ("a\u2028b\x0bc", " '=1+1", "=1+1", "two\nlines", "\u202eturned ")
        ended = timezone.now() - datetime.timedelta(days=1)
        for number, reason in enumerate(reasons):
            person = UserFactory.create(email=f"r{number}@x.io")
            SegmentMemberFactory.create(segment=beta, user=person, reason=reason)
        SegmentMember.objects.update(expires_at=ended)
        exported = staff.post(reverse("admin:featureflags_segment_by_name_export", args=["beta"]))
        file = SimpleUploadedFile("list.csv", exported.getvalue())
        saved = staff.post(IMPORT, form(file=file, missing="all", others="replace"), follow=True)
        assert shown(saved) == ["Nothing has changed: all of it was stored already."]
        # A time that has passed is a mistake where it is new.
        late = f"email,expires_at\nada@x.io,{ended.isoformat()}"
        page = staff.post(IMPORT, listed(late))
        assert "has ended already" in str(page.context["problems"][0])

    def test_accents_are_found_however_they_are_written(self, staff: Client, beta: Segment) -> None:
        composed, apart = "j\u00fcrgen@x.io", "zoe\u0308@x.io"
        for address in (composed, apart):
            UserFactory.create(email=address)
        text = "\n".join(
            [unicodedata.normalize("NFD", composed), unicodedata.normalize("NFC", apart)]
        )
        staff.post(IMPORT, listed(text))
        assert members() == {composed: "include", apart: "include"}

    def test_all_or_nothing_names_who_is_not_found_and_keeps_the_input(
        self, staff: Client, beta: Segment, people: list[User]
    ) -> None:
        text = "ada@x.io\nnobody@x.io\nnonsense\nbob@x.io\n"
        page = staff.post(IMPORT, listed(text))
        assert tuple(map(str, page.context["problems"])) == (
            "Line 2: nobody has the e-mail nobody@x.io.",
            "Line 3: “nonsense” contains no e-mail and no key.",
        )
        assert "2 lines have a problem. Nobody is imported." in page.content.decode()
        assert page.context["form"]["text"].value() == text
        assert not members()

    def test_a_file_with_mistakes_comes_back_as_text(
        self, staff: Client, beta: Segment, people: list[User]
    ) -> None:
        file = SimpleUploadedFile("list.csv", b"ada@x.io\nnobody@x.io\n")
        page = staff.post(IMPORT, form(file=file, missing="all"))
        assert page.context["form"]["text"].value() == "ada@x.io\nnobody@x.io\n"
        assert not members()

    def test_those_who_are_found_if_one_chooses_so(
        self, staff: Client, beta: Segment, people: list[User]
    ) -> None:
        data = {**listed("ada@x.io\nnobody@x.io\nbob@x.io"), "missing": "found"}
        saved = staff.post(IMPORT, data, follow=True)
        assert shown(saved) == [
            "2 memberships were changed.",
            "Left out: Line 2: nobody has the e-mail nobody@x.io.",
        ]
        assert set(members()) == {"ada@x.io", "bob@x.io"}
        nobody = staff.post(IMPORT, {**listed("nobody@x.io"), "missing": "found"})
        assert "Nobody of the list is found." in nobody.content.decode()

    def test_a_user_listed_twice_is_reported(
        self, staff: Client, beta: Segment, people: list[User]
    ) -> None:
        page = staff.post(IMPORT, listed(f"ada@x.io\nada@x.io\n{people[0].pk}\nnobody@x.io"))
        assert tuple(map(str, page.context["repeated"])) == (
            "Line 2: ada@x.io is also on line 1.",
            f"Line 3: {people[0].pk} is also on line 1.",
        )

    def test_it_asks_first_and_carries_the_file_along(
        self, staff: Client, beta: Segment, people: list[User], a_quiet_site: FlagFile
    ) -> None:
        a_quiet_site(boolean_flag("new-checkout", rules=[segment_rule("beta")]))
        file = SimpleUploadedFile("list.csv", b"email\nada@x.io\nbob@x.io\nnobody@x.io\n")
        asked = staff.post(IMPORT, form(file=file, missing="found"))
        assert "new-checkout" in reasons(asked)
        text = asked.content.decode()
        assert "Included 2 users: " in text
        assert "Left out: Line 4: nobody has the e-mail nobody@x.io." in text
        back = answer(staff, asked, _back="1")
        assert "nobody@x.io" in back.context["form"]["text"].value()
        assert not members()
        answer(staff, asked)
        assert set(members()) == {"ada@x.io", "bob@x.io"}

    def test_many_of_all_users_are_asked_about(
        self, staff: Client, beta: Segment, settings: Settings
    ) -> None:
        use(settings, CONFIRM_PERCENT=10)
        User.objects.bulk_create(User(email=f"crowd{n}@example.com") for n in range(100))
        text = "\n".join(f"crowd{n}@example.com" for n in range(100))
        asked = staff.post(IMPORT, listed(text))
        assert "It moves more than 10 %" in reasons(asked)
        before = newest()
        answer(staff, asked)
        assert len(members()) == 100
        (entry,) = entries_since(before)
        assert (entry.entering, entry.members.count()) == (100, 100)

    @pytest.mark.parametrize(
        ("data", "problem"),
        [
            (listed(""), "Paste a list, or choose a file."),
            (listed("a@x.io\0"), "Null characters are not allowed."),
            (listed("x" * (2 * 1024 * 1024 + 1)), "The list is larger than 2 MB."),
        ],
    )
    def test_a_text_that_is_not_a_list(
        self, staff: Client, beta: Segment, data: dict[str, Any], problem: str
    ) -> None:
        assert problem in staff.post(IMPORT, data).content.decode()

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"a@x.io\0", "NUL"),
            (b"x" * (2 * 1024 * 1024 + 1), "The list is larger than 2 MB."),
            ("email\nJürgen".encode("latin-1"), "Line 2 is not UTF-8."),
        ],
    )
    def test_an_upload_that_is_not_a_file(
        self, staff: Client, beta: Segment, content: bytes, problem: str
    ) -> None:
        file = SimpleUploadedFile("list.csv", content)
        assert problem in staff.post(IMPORT, form(file=file, missing="all")).content.decode()

    def test_a_list_and_a_file(self, staff: Client, beta: Segment) -> None:
        file = SimpleUploadedFile("list.csv", b"a@x.io")
        page = staff.post(IMPORT, listed("b@x.io", file=file))
        assert "Paste a list or upload a file, not both." in page.content.decode()

    def test_more_than_a_segment_holds(
        self, staff: Client, beta: Segment, people: list[User], settings: Settings
    ) -> None:
        SegmentMemberFactory.create(segment=beta, user=people[0])
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "MAX_MEMBERS": 2}
        page = staff.post(IMPORT, listed("bob@x.io\ncy@x.io"))
        assert "would have 3 members by name; 2 are allowed." in page.content.decode()
        page = staff.post(IMPORT, listed("ada@x.io\nbob@x.io\ncy@x.io"))
        assert "names 3 users; a segment holds at most 2." in page.content.decode()
        assert set(members()) == {"ada@x.io"}

    def test_five_thousand_are_one_entry_and_few_queries(
        self, staff: Client, beta: Segment, settings: Settings
    ) -> None:
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "CONFIRM_USERS": 10_000,
            "CONFIRM_PERCENT": 100,
        }
        User.objects.bulk_create(User(email=f"m{n}@example.com") for n in range(5_000))
        text = "\n".join(f"m{n}@example.com" for n in range(5_000))
        before = newest()
        with CaptureQueriesContext(connection) as queries:
            staff.post(IMPORT, listed(text))
        assert len(members()) == 5_000
        assert len(queries) < 300
        (entry,) = entries_since(before)
        assert (entry.entering, entry.members.count()) == (5_000, 5_000)
