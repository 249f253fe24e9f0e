"""A kind may call an address, its domain and its proof as it likes; people find a row by each `search` address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from featureflags.editing.member_files import read_member_list
from featureflags.editing.member_lookup import find_members
from featureflags.editing.notices import approvers
from featureflags.kinds import Boolean, Domain, Kind, Text
from featureflags.kinds.compiled import CompiledKind
from featureflags.management.arguments import no_such_row
from featureflags.models import SegmentMember
from featureflags.models.changesets import MemberState
from featureflags.models.stored_forms import in_stored_form
from featureflags.models.validation import check_rules
from tests.customers.models import Customer
from tests.factories import clause, rule
from tests.featureflags.kinds.conftest import declared


class Clerk(Kind):
    name = "user"
    model = Customer
    title = "username"
    search = ("username", "email")

    mailbox = Text("email", user_writable=True, verified_by="signed")
    mail_host = Domain("email", user_writable=True, verified_by="signed")
    nick = Text("username", user_writable=True)
    signed = Boolean("is_staff", label="Signed by the chief")


@pytest.fixture(autouse=True)
def clerks() -> Iterator[CompiledKind]:
    with declared(Clerk) as kind:
        yield kind


def warnings_of(*clauses: dict[str, object]) -> str:
    return " ".join(str(each.message) for each in check_rules([rule(*clauses)]).warnings())


def test_what_proves_a_value_is_declared() -> None:
    host, proof = clause("mail_host", "in", "agpt.co"), clause("signed", "in", True)

    assert "Add the condition “Signed by the chief is true”" in warnings_of(host)
    assert "Signed" not in warnings_of(host, clause("nick", "in", "ada"))
    assert "Signed" in warnings_of(host, clause("signed", "in", True, negate=True))
    assert warnings_of(host, proof) == ""


def test_a_domain_of_any_name_has_no_at() -> None:
    written, remarks = in_stored_form([rule(clause("mail_host", "in", "@AGPT.co"))])

    assert written[0]["clauses"][0]["values"] == ["agpt.co"]
    assert [str(each.message).rpartition(", ")[2] for each in remarks] == [
        "since a domain has no @"
    ]
    [problem] = check_rules([rule(clause("mail_host", "in", "ada@agpt.co"))]).problems
    assert "a domain has no @" in str(problem.message)


@pytest.mark.django_db
def test_rows_are_found_by_each_address(clerks: CompiledKind) -> None:
    ada = Customer.objects.create(username="ada", email="Ada.Adler@Example.com")
    for name in ("bob", "bert"):
        Customer.objects.create(username=name, email="b@example.com")
    Customer.objects.create(username="ADA", email="other@example.com")

    assert clerks.find("ada.adler@example.COM") == ada
    assert clerks.find("ada") == ada
    assert clerks.find("Ada") is clerks.find("b@example.com") is None


@pytest.mark.django_db
def test_a_list_of_members_names_addresses(clerks: CompiledKind) -> None:
    ada = Customer.objects.create(username="ada", email="Ada@Example.com")
    ben = Customer.objects.create(username="ben", email="")
    for name in ("bob", "bert"):
        Customer.objects.create(username=name, email="b@example.com")
    default = MemberState(
        kind=SegmentMember.Kind.INCLUDE, reason="", starts_at=None, expires_at=None
    )

    listed = read_member_list("email,kind\nADA@example.com,include\nb@example.com,include\n")
    found = find_members(listed, default)
    assert [*found.members] == [str(ada.pk)]
    assert [str(each) for each in found.problems] == [
        "Line 3: 2 rows are called b@example.com. Write the key instead."
    ]
    assert [*find_members(read_member_list("username\nben\n"), default).members] == [str(ben.pk)]


@pytest.mark.django_db
def test_a_name_of_several_rows_is_said() -> None:
    class Company(Kind):
        name = "user"
        model = Customer
        title = "email"
        search = ("email",)

    with declared(Company) as kind:
        for name in ("bob", "bert"):
            Customer.objects.create(username=name, email="b@example.com")

        assert kind.find("b@example.com") is None
        assert "2 rows of the kind 'user' are called" in no_such_row(kind, "b@example.com")


@pytest.mark.django_db
def test_users_without_django_s_permissions_approve_nothing() -> None:
    """Of a model without its columns nobody is asked by e-mail, and a proposal goes on."""
    with declared(type("Bare", (Kind,), {"name": "user", "model": Customer})):
        assert list(approvers()) == []
