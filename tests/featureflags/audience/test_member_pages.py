"""Who is in a segment, page by page: nobody twice, nobody left out, whichever way one turns."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from featureflags.audience import member_pages
from featureflags.audience.member_pages import AudienceFilter, How, Member, Page, SegmentAudience
from featureflags.audience.sql.statement_timeout import TimeIsUp
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.core.times import now_in_microseconds
from featureflags.models import Segment, SegmentMember
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from users.models import User

pytestmark = pytest.mark.django_db

PRO = [rule(clause("custom_plan", "in", "pro"))]
# PostgreSQL's expressions are not RE2's: there Python judges everybody.
EXPRESSION = [rule(clause("custom_plan", "matches", "^(?i:PRO)$"))]


def days_ago(days: float) -> datetime.datetime:
    return timezone.now() - datetime.timedelta(days=days)


def of(key: str, *, expected: int | None = None, **wanted: Any) -> SegmentAudience:
    ruleset = current_ruleset().ruleset
    return SegmentAudience(
        ruleset, key, now=now_in_microseconds(), wanted=AudienceFilter(**wanted), expected=expected
    )


def names(members: tuple[Member, ...] | Iterator[Member]) -> list[str]:
    return [member.user.email.partition("@")[0] for member in members]


def pages(key: str, size: int, **wanted: Any) -> list[Page]:
    """All pages, forwards."""
    found = [of(key, **wanted).page(size)]
    while found[-1].has_next:
        last = found[-1].members[-1].user.key
        found.append(of(key, **wanted).page(size, after=last))
    return found


@pytest.fixture(params=[PRO, EXPRESSION], ids=["in SQL", "in Python"])
def pro(request: pytest.FixtureRequest) -> Segment:
    """Every other of nine users, a to i, is in it."""
    for number, name in enumerate("ihgfedcba"):
        plan = "pro" if number % 2 == 0 else "free"
        UserFactory.create(email=f"{name}@example.com", metadata={"plan": plan})
    return SegmentFactory.create(key="pro", rules=request.param)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_pages, "BATCH", 2)


@pytest.mark.usefixtures("small_batches")
class TestPages:
    def test_forwards(self, pro: Segment) -> None:
        found = pages("pro", 2)
        assert [names(page.members) for page in found] == [["a", "c"], ["e", "g"], ["i"]]
        assert [page.has_previous for page in found] == [False, True, True]
        assert [page.has_next for page in found] == [True, True, False]

    def test_backwards(self, pro: Segment) -> None:
        last = str(User.objects.get(email="i@example.com").pk)
        page = of("pro").page(2, before=last)
        assert names(page.members) == ["e", "g"]
        assert (page.has_previous, page.has_next) == (True, True)
        page = of("pro").page(2, before=page.members[0].user.key)
        assert names(page.members) == ["a", "c"]
        assert (page.has_previous, page.has_next) == (False, True)

    def test_a_few_among_many_are_found_first_in_the_same_order(self, pro: Segment) -> None:
        first = of("pro", expected=5).page(2)
        middle = of("pro", expected=5).page(2, after=first.members[-1].user.key)
        assert (names(first.members), names(middle.members)) == (["a", "c"], ["e", "g"])
        with CaptureQueriesContext(connection) as captured:
            of("pro", expected=5).page(2, before=middle.members[0].user.key)
        assert "||" in captured[-1]["sql"].partition("ORDER BY")[2]

    def test_a_page_that_is_just_full_is_the_last(self, pro: Segment) -> None:
        page = of("pro").page(5)
        assert (len(page.members), page.has_next) == (5, False)

    def test_the_same_users_while_others_are_created_or_leave(self, pro: Segment) -> None:
        first = of("pro").page(2)
        UserFactory.create(email="b2@example.com", metadata={"plan": "pro"})
        User.objects.filter(email="e@example.com").update(metadata={})
        last = first.members[-1].user.key
        assert names(of("pro").page(9, after=last).members) == ["g", "i"]

    def test_a_deleted_user_does_not_count(self, pro: Segment) -> None:
        page = of("pro").page(2, after=str(uuid.uuid4()))
        assert names(page.members) == ["a", "c"]
        assert page.has_previous is False

    def test_everyone(self, pro: Segment) -> None:
        assert names(of("pro").everyone(2)) == ["a", "c", "e", "g", "i"]

    def test_nobody(self, pro: Segment) -> None:
        assert of("unknown").page(2) == Page(members=(), has_previous=False, has_next=False)
        Segment.objects.filter(pk=pro.pk).update(is_active=False)
        assert names(of("pro").page(9).members) == []

    def test_no_page_counts_or_skips(self, pro: Segment) -> None:
        middle = str(User.objects.get(email="c@example.com").pk)
        with CaptureQueriesContext(connection) as captured:
            of("pro").page(2, after=middle)
        for query in captured:
            assert " OFFSET " not in query["sql"]
            assert "COUNT(" not in query["sql"].upper()


def test_the_price_of_a_page_does_not_grow() -> None:
    SegmentFactory.create(key="pro", rules=PRO)

    def queries() -> int:
        of("pro").page(50)
        with CaptureQueriesContext(connection) as captured:
            of("pro").page(50)
        return len(captured)

    UserFactory.create_batch(5, metadata={"plan": "pro"})
    few = queries()
    UserFactory.create_batch(25, metadata={"plan": "pro"})
    assert queries() == few


def test_time_that_is_up_is_said(pro: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    page = of("pro").page(9, seconds=60)
    assert (len(page.members), page.is_cut) == (5, False)

    def late(*_args: object) -> None:
        raise TimeIsUp

    monkeypatch.setattr(SegmentAudience, "_read", late)
    assert of("pro").page(9, seconds=60).is_cut


class TestWhich:
    def test_by_which_rule_or_by_name(self) -> None:
        segment = SegmentFactory.create(
            key="some",
            rules=[
                rule(clause("", "segmentMatch", "admin")),
                rule(clause("custom_plan", "in", "pro")),
            ],
        )
        UserFactory.create(email="a@example.com", role="admin", metadata={"plan": "pro"})
        UserFactory.create(email="b@example.com", metadata={"plan": "pro"})
        named = UserFactory.create(email="c@example.com", metadata={"plan": "pro"})
        out = UserFactory.create(email="d@example.com", metadata={"plan": "pro"})
        ended = UserFactory.create(email="e@example.com", metadata={"plan": "pro"})
        SegmentMemberFactory.create(segment=segment, user=named)
        SegmentMemberFactory.create(segment=segment, user=out, kind=SegmentMember.Kind.EXCLUDE)
        member = SegmentMemberFactory.create(segment=segment, user=ended)
        SegmentMember.objects.filter(pk=member.pk).update(expires_at=days_ago(1))
        found = of("some").page(9).members
        assert [(name, each.rule) for name, each in zip(names(found), found, strict=True)] == [
            ("a", 1),
            ("b", 2),
            ("c", None),
            ("e", 2),
        ]
        assert names(of("some", how=How.BY_NAME).page(9).members) == ["c"]
        assert names(of("some", how=How.BY_RULES).page(9).members) == ["a", "b", "e"]

    def test_by_name_where_nobody_is(self) -> None:
        SegmentFactory.create(key="pro", rules=PRO)
        UserFactory.create(metadata={"plan": "pro"})
        assert of("pro", how=How.BY_NAME).page(9).members == ()
        assert len(of("pro", how=How.BY_RULES).page(9).members) == 1

    @pytest.mark.parametrize(
        ("search", "expected"),
        [
            ("ADA", ["ada", "adam"]),
            ("ada@", ["ada"]),
            ("lovelace", ["ada"]),
            ("example", []),
            ("%", []),
            ("  ", ["ada", "adam", "bob"]),
        ],
    )
    def test_search(self, search: str, expected: list[str]) -> None:
        SegmentFactory.create(key="pro", rules=PRO)
        for email, name in (("ada", "Ada Lovelace"), ("adam", ""), ("bob", "Bob")):
            UserFactory.create(email=f"{email}@example.com", name=name, metadata={"plan": "pro"})
        UserFactory.create(email="adan@example.com", name="Ada of another plan")
        assert names(of("pro", search=search).page(9).members) == expected

    def test_search_by_key(self) -> None:
        SegmentFactory.create(key="pro", rules=PRO)
        user, _other = UserFactory.create_batch(2, metadata={"plan": "pro"})
        [found] = of("pro", search=f" {str(user.pk).upper()} ").page(9).members
        assert found.user.key == str(user.pk)


class TestEnteredLately:
    def test_by_the_clock(self) -> None:
        for name, age in (("new", 3), ("grown", 33), ("old", 60)):
            UserFactory.create(email=f"{name}@example.com", created_at=days_ago(age))
        assert names(of("established_user", entered_days=7).page(9).members) == ["grown"]
        assert names(of("established_user", entered_days=30).page(9).members) == ["grown", "old"]
        assert names(of("new_user", entered_days=7).page(9).members) == ["new"]

    def test_a_new_account(self) -> None:
        SegmentFactory.create(key="pro", rules=PRO)
        UserFactory.create(
            email="new@example.com", created_at=days_ago(3), metadata={"plan": "pro"}
        )
        UserFactory.create(email="old@example.com", metadata={"plan": "pro"})
        assert names(of("pro", entered_days=7).page(9).members) == ["new"]
        assert names(of("pro", entered_days=1).page(9).members) == []

    def test_by_name_unless_the_rules_would_have_had_them(self) -> None:
        segment = SegmentFactory.create(key="pro", rules=PRO)
        lately = UserFactory.create(email="lately@example.com")
        long_ago = UserFactory.create(email="long@example.com")
        by_rules = UserFactory.create(email="rules@example.com", metadata={"plan": "pro"})
        for user in (lately, long_ago, by_rules):
            SegmentMemberFactory.create(segment=segment, user=user)
        SegmentMember.objects.filter(user=long_ago).update(created_at=days_ago(20))
        assert names(of("pro", entered_days=7).page(9).members) == ["lately"]

    def test_an_exclusion_that_ended(self) -> None:
        segment = SegmentFactory.create(key="pro", rules=PRO)
        user = UserFactory.create(email="back@example.com", metadata={"plan": "pro"})
        member = SegmentMemberFactory.create(
            segment=segment, user=user, kind=SegmentMember.Kind.EXCLUDE
        )
        SegmentMember.objects.filter(pk=member.pk).update(
            created_at=days_ago(20), expires_at=days_ago(3)
        )
        assert names(of("pro", entered_days=7).page(9).members) == ["back"]
        assert names(of("pro", entered_days=1).page(9).members) == []

    def test_through_a_segment_that_it_uses(self) -> None:
        base = SegmentFactory.create(key="base")
        SegmentFactory.create(key="above", rules=[rule(clause("", "segmentMatch", "base"))])
        user = UserFactory.create(email="in@example.com")
        SegmentMemberFactory.create(segment=base, user=user)
        assert names(of("above", entered_days=7).page(9).members) == ["in"]
        SegmentMember.objects.update(created_at=days_ago(20))
        assert names(of("above", entered_days=7).page(9).members) == []

    def test_where_python_judges(self) -> None:
        old = rule(
            clause("custom_plan", "matches", "^(?i:PRO)$"),
            clause("account_age_days", "greaterThan", 30),
        )
        SegmentFactory.create(key="both", rules=[old])
        for name, age in (("grown", 33), ("old", 60)):
            UserFactory.create(
                email=f"{name}@example.com", created_at=days_ago(age), metadata={"plan": "pro"}
            )
        assert names(of("both", entered_days=7).page(9).members) == ["grown"]
