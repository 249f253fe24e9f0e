"""What another installation has sent, compared with the segments here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from featureflags.editing.installations import (
    Difference,
    InstallationError,
    Pull,
    Received,
    differences,
    exchange,
    receive,
    refuse_problems,
    send,
    send_page,
)
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER
from featureflags.models import SegmentMember
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule


def received(segments: dict[str, Any], names: object = None, **more: Any) -> Received:
    return receive({"segments": segments, "names": names or {}, "problems": {}, **more})


@pytest.mark.django_db
def test_what_differs_is_found() -> None:
    rules = [rule(clause("custom_plan", "in", "pro"))]
    SegmentFactory.create(key="same", name="Same", rules=rules)
    SegmentFactory.create(key="other", name="Here")
    there = received(
        {
            "same": {"key": "same", "name": "Same", "rules": rules, "version": 9},
            "other": {"key": "other", "name": "There", "rules": []},
            "theirs": {"key": "theirs", "name": "Theirs", "rules": []},
        }
    )
    found = {each.key: each for each in differences(there)}
    assert "same" not in found

    def lines(*, to_there: bool) -> list[str]:
        return found["other"].lines(to_there=to_there, with_members=True, with_addresses=False)

    assert lines(to_there=True) == ["Name changed from “There” to “Here”"]
    assert lines(to_there=False) == ["Name changed from “Here” to “There”"]
    assert found["theirs"].here is None
    assert found["employee"].there is None


def pulled(found: Difference, *, with_members: bool) -> dict[str, Any]:
    document: Any = Pull.of([found], with_members=with_members).document
    one: dict[str, Any] = document["segments"]["beta"]
    return one


@pytest.mark.django_db
def test_members_and_owners_are_the_same_by_address() -> None:
    ada, ben = (UserFactory.create(email=f"{name}@example.com") for name in ("ada", "ben"))
    segment = SegmentFactory.create(key="beta", name="Beta", rules=[], owner=ben)
    SegmentMemberFactory.create(segment=segment, user=ada)
    beta = {"key": "beta", "name": "Beta", "rules": [], "included": ["k1"], "owner": "k2"}
    names = {"user": {"k1": "Ada@Example.com", "k2": "ben@example.com"}}
    assert "beta" not in {each.key for each in differences(received({"beta": beta}, names))}

    more = {**beta, "included": ["k1", "k3", "k4"], "excluded": ["k2"], "owner": "k3"}
    names["user"]["k3"] = "gone@example.com"
    [found] = [each for each in differences(received({"beta": more}, names)) if each.key == "beta"]
    assert found.left_out.titles == ("gone@example.com",)
    assert (found.left_out.unnamed, found.left_out.owner) == (1, "gone@example.com")
    # Whose names are not known is not promoted: the list here would lose them.
    document = pulled(found, with_members=True)
    assert (document["included"], document["excluded"]) == ([str(ada.pk)], [])
    assert "owner" not in document

    names["user"]["k4"] = "ben@example.com"
    [found] = [each for each in differences(received({"beta": more}, names)) if each.key == "beta"]
    document = pulled(found, with_members=True)
    assert document["included"] == sorted([str(ada.pk), str(ben.pk)])
    assert "gone@example.com" in " ".join(found.left_out.words(with_names=True))
    assert "gone@example.com" not in " ".join(found.left_out.words(with_names=False))
    # Without members: those of here stay.
    document = pulled(found, with_members=False)
    assert (document["included"], "owner" in document) == ([str(ada.pk)], False)


@pytest.mark.django_db
def test_what_cannot_be_read_here_is_a_difference_with_its_problem() -> None:
    """Of a newer installation, or of one that declares other kinds."""
    SegmentFactory.create(key="beta", name="Beta", rules=[])
    segments = {
        "beta": {"key": "beta", "rules": [rule(clause("custom_plan", "fromTheFuture", "x"))]},
        "ships": {"key": "ships", "kind": "ship", "rules": []},
        "odd": "no object",
        "named": {"key": "another", "rules": []},
    }
    there = received(segments, problems={"broken": ["rule 1: no condition"]})
    found = {each.key: each for each in differences(there)}
    assert "fromTheFuture" in found["beta"].problems[0]
    assert "ship" in found["ships"].problems[0]
    assert found["broken"].problems == ("There: rule 1: no condition",)
    assert found["odd"].problems
    assert found["named"].problems
    with pytest.raises(InstallationError, match="beta cannot be promoted"):
        refuse_problems([found["beta"]])


@pytest.mark.django_db
def test_no_title_is_sent_without_the_members_or_of_a_kind_that_is_not_seen() -> None:
    segment = SegmentFactory.create(key="beta", name="Beta", rules=[], owner=UserFactory.create())
    SegmentMemberFactory.create(segment=segment, user=UserFactory.create())
    for named, with_members in (([USER], False), ([], True)):
        sent = send(["beta"], named, with_members=with_members)
        assert "@" not in json.dumps(sent.to_dict())
    sent = send(["beta"], [USER], with_members=True)
    assert len(sent.names[USER]) == 2


@pytest.mark.django_db
def test_pages_of_segments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("zz1", "zz2", "zz3"):
        segment = SegmentFactory.create(key=key, rules=[])
        for _number in range(3):
            SegmentMemberFactory.create(segment=segment, user=UserFactory.create())
    monkeypatch.setattr(exchange, "MOST_MEMBERS", 7)
    pages, after = [], "zz"
    while True:
        sent, after = send_page(after, [])
        pages.append(list(sent.segments))
        if not after:
            break
    assert pages == [["zz1", "zz2"], ["zz3"]]
    monkeypatch.setattr(exchange, "MOST_MEMBERS", 1)
    assert list(send_page("zz", [])[0].segments) == ["zz1"]


@pytest.mark.django_db
def test_members_of_another_kind_are_the_same_by_title(organizations: CompiledKind) -> None:
    """Their keys are numbers, which mean other companies there."""
    acme, twin = (Company.objects.create(name=name) for name in ("Acme", "Twin"))
    Company.objects.create(name="Twin")
    rules = [rule(clause("seats", "greaterThan", 50))]
    segment = SegmentFactory.create(key="large", name="Large", kind=ORGANIZATION, rules=rules)
    for company in (acme, twin):
        SegmentMember.objects.create(segment=segment, key=str(company.pk))
    sent = send(["large"], [ORGANIZATION], with_members=True).to_dict()
    names: Any = sent["names"]
    assert names == {ORGANIZATION: {str(acme.pk): "Acme", str(twin.pk): "Twin"}}
    there: Any = json.loads(json.dumps(sent).replace(f'"{acme.pk}"', '"71"'))
    there["names"][ORGANIZATION]["72"] = "Nobody here"
    there["segments"]["large"]["included"].append("72")
    [found] = [each for each in differences(receive(there)) if each.key == "large"]
    # Two companies here are called Twin: which one is meant is not known.
    assert found.left_out.titles == ("Nobody here", "Twin")
    pull = Pull.of([found], with_members=True)
    document: Any = pull.document
    assert document["segments"]["large"]["included"] == [str(acme.pk)]
    [words] = pull.left_out(sees=[ORGANIZATION])
    assert "Nobody here" in words
    [words] = pull.left_out(sees=[USER])
    assert "Nobody here" not in words
    # Who may not see companies by title cannot find out by it either: the list here stays.
    [found] = [each for each in differences(receive(there, seen=[USER])) if each.key == "large"]
    assert (found.left_out.titles, found.left_out.unnamed) == ((), 3)
    document = Pull.of([found], with_members=True).document
    assert document["segments"]["large"]["included"] == sorted([str(acme.pk), str(twin.pk)])
    [examined] = pull.examine()
    assert (examined.moved.entering, examined.moved.leaving) == (0, 1)
