"""`User.objects.in_segment` and its like, in the places where a queryset is used."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from celery import current_app
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import timezone

from featureflags.audience import querysets
from featureflags.audience.sql.compiler import MOST_NESTED, compile_segment
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.core.times import to_microseconds
from featureflags.kinds import segmentation
from featureflags.segments.definitions import Clause, InvalidDefinition, Rule, SegmentDefinition
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from users.admin import UserAdmin
from users.models import User
from users.querysets import UserQuerySet

LONG_NAMES = rule(clause("name", "matches", "^.{5,}$"))


def emails(users: object) -> list[str]:
    assert isinstance(users, type(User.objects.all()))
    return sorted(user.email for user in users)


@pytest.fixture
def four(db: None) -> None:
    UserFactory.create(email="a@agpt.co", name="Ann", metadata={"plan": "pro"})
    UserFactory.create(email="b@agpt.co", name="Barbara", metadata={"plan": "free"})
    UserFactory.create(email="c@example.com", name="Charles", metadata={"plan": "pro"})
    UserFactory.create(email="d@example.com", name="", metadata={})


def test_a_key_a_definition_and_its_json_are_asked_alike(four: None) -> None:
    assert emails(User.objects.in_segment("employee")) == ["a@agpt.co", "b@agpt.co"]
    raw = {"key": "unsaved", "rules": [rule(clause("custom_plan", "in", "pro"))]}
    definition = SegmentDefinition(
        key="unsaved",
        rules=(Rule(clauses=(Clause(attribute="custom_plan", op="in", values=("pro",)),)),),
    )
    for segment in (raw, definition):
        assert emails(User.objects.in_segment(segment)) == ["a@agpt.co", "c@example.com"]
        assert emails(User.objects.not_in_segment(segment)) == ["b@agpt.co", "d@example.com"]


def test_an_unsaved_definition_may_name_saved_segments(four: None) -> None:
    raw = {"key": "x", "rules": [rule(clause("", "segmentMatch", "employee", negate=True))]}
    assert emails(User.objects.in_segment(raw)) == ["c@example.com", "d@example.com"]
    instead = {"key": "employee", "rules": [rule(clause("name", "in", "Charles"))]}
    assert emails(User.objects.in_segment(instead)) == ["c@example.com"]


def test_an_unknown_segment_has_no_members(four: None) -> None:
    assert not User.objects.in_segment("unheard-of").exists()
    assert User.objects.not_in_segment("unheard-of").count() == 4


def test_an_invalid_segment_raises(db: None) -> None:
    with pytest.raises(InvalidDefinition):
        User.objects.in_segment({"key": "x", "rules": [{"clauses": []}]})
    with pytest.raises(TypeError):
        User.objects.in_segment(5)


def test_it_composes_with_any_queryset(four: None) -> None:
    users = User.objects.filter(email__contains="agpt").exclude(name="Ann")
    assert emails(users.in_segment("employee")) == ["b@agpt.co"]
    payers = {"key": "x", "rules": [rule(clause("custom_plan", "in", "pro"))]}
    assert emails(User.objects.in_segment("employee").in_segment(payers)) == ["a@agpt.co"]
    both = User.objects.in_segment("employee") & User.objects.in_segment(payers)
    assert emails(both) == ["a@agpt.co"]
    assert User.objects.filter(pk__in=User.objects.in_segment("employee").values("pk")).count() == 2
    page = User.objects.in_segment("employee").order_by("-email")[:1]
    assert [user.email for user in page] == ["b@agpt.co"]


class InSegment(admin.SimpleListFilter):
    """As a project would write one."""

    title = "segment"
    parameter_name = "segment"

    def lookups(self, *_args: Any) -> list[tuple[str, str]]:
        return [("employee", "Employees"), ("long", "Long names")]

    def queryset(self, _request: HttpRequest, users: QuerySet[User]) -> QuerySet[User]:
        assert isinstance(users, UserQuerySet)
        return users.in_segment(self.value()) if self.value() else users


@pytest.mark.parametrize(
    ("key", "expected"), [("employee", ["a@agpt.co"]), ("long", ["c@example.com"])]
)
def test_it_serves_a_filter_of_the_admin(
    four: None, rf: RequestFactory, key: str, expected: list[str]
) -> None:
    SegmentFactory.create(key="long", rules=[LONG_NAMES])

    class Users(UserAdmin):
        def get_list_filter(self, request: HttpRequest) -> list[type[admin.ListFilter] | Any]:
            return [InSegment]

    request = rf.get("/", {"segment": key, "q": expected[0][:2]})
    request.user = UserFactory.create(superuser=True)
    changes = Users(User, admin.site).get_changelist_instance(request)
    assert emails(changes.get_queryset(request)) == expected


def test_it_serves_a_task(four: None) -> None:
    @current_app.task(name="tests.members_of")
    def members_of(key: str) -> list[str]:
        return emails(User.objects.in_segment(key))

    try:
        done = members_of.apply(args=("employee",))
        assert done.get() == ["a@agpt.co", "b@agpt.co"]
    finally:
        current_app.tasks.unregister("tests.members_of")


def test_a_rule_beyond_sql_is_finished_in_python(four: None) -> None:
    SegmentFactory.create(key="long", rules=[LONG_NAMES])
    expected = ["b@agpt.co", "c@example.com"]
    assert emails(User.objects.in_segment("long")) == expected
    assert emails(User.objects.not_in_segment("long")) == ["a@agpt.co", "d@example.com"]
    assert emails(User.objects.filter(name="Barbara").in_segment("long")) == ["b@agpt.co"]
    annotated = User.objects.filter(pk__in=User.objects.values("pk")).only("email")
    assert emails(annotated.in_segment("long")) == expected


def test_it_is_finished_in_batches(four: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querysets, "BATCH", 1)
    SegmentFactory.create(key="long", rules=[LONG_NAMES])
    assert emails(User.objects.in_segment("long")) == ["b@agpt.co", "c@example.com"]


def test_members_by_name_count_until_they_expire(four: None) -> None:
    segment = SegmentFactory.create(
        key="beta", rules=[rule(clause("email", "endsWith", "agpt.co"))]
    )
    out, guest = User.objects.get(name="Ann"), User.objects.get(name="Charles")
    until = timezone.now() + datetime.timedelta(hours=1)
    SegmentMemberFactory.create(segment=segment, user=out, kind="exclude")
    SegmentMemberFactory.create(segment=segment, user=guest, expires_at=until)
    assert emails(User.objects.in_segment("beta")) == ["b@agpt.co", "c@example.com"]
    last = to_microseconds(until)
    assert User.objects.in_segment("beta", now=last - 1).filter(pk=guest.pk).exists()
    assert not User.objects.in_segment("beta", now=last).filter(pk=guest.pk).exists()


def test_an_age_is_a_range_to_the_microsecond(db: None) -> None:
    born = datetime.datetime(2025, 1, 1, 12, tzinfo=datetime.UTC)
    user = UserFactory.create(created_at=born)
    at_seven_days = to_microseconds(born + datetime.timedelta(days=7))
    assert emails(User.objects.in_segment("new_user", now=at_seven_days - 1)) == [user.email]
    assert emails(User.objects.in_segment("new_user", now=at_seven_days)) == []
    assert emails(User.objects.in_segment("recent_user", now=at_seven_days)) == [user.email]


def test_segments_that_use_too_many_others_are_left_to_python(four: None) -> None:
    """Each level names the one below twice: written out, its SQL would double forty times."""
    base = Rule(clauses=(Clause(attribute="custom_plan", op="in", values=("pro",)),))
    levels = [SegmentDefinition(key="l0", rules=(base,))]
    for number in range(1, 40):
        below = Clause(attribute="", op="segmentMatch", values=(f"l{number - 1}",))
        rules = (Rule(clauses=(below,)), Rule(clauses=(below, below)))
        levels.append(SegmentDefinition(key=f"l{number}", rules=rules))
    ruleset = current_ruleset().ruleset.evolve(levels, version=1)
    compiled = compile_segment(ruleset, "l39", now=0)
    assert not compiled.exact
    assert "uses more clauses than SQL should hold" in compiled.why_inexact[0]
    assert User.objects.filter(compiled.upper).count() == 4
    assert compile_segment(ruleset, "l3", now=0).exact


def test_segments_that_nest_too_deep_are_left_to_python(four: None) -> None:
    pro = Clause(attribute="custom_plan", op="in", values=("pro",))
    levels = [SegmentDefinition(key="l0", rules=(Rule(clauses=(pro,)),))]
    for number in range(1, 500):
        below = Clause(attribute="", op="segmentMatch", values=(f"l{number - 1}",), negate=True)
        rules = (Rule(clauses=(below, pro)), Rule(clauses=(pro,)))
        members = {str(uuid.UUID(int=number)): None}
        levels.append(
            SegmentDefinition(key=f"l{number}", rules=rules, included=members, excluded=members)
        )
    ruleset = current_ruleset().ruleset.evolve(levels, version=1)
    compiled = compile_segment(ruleset, "l499", now=0)
    assert not compiled.exact
    assert User.objects.filter(compiled.upper).count() == 2
    deepest = compile_segment(ruleset, f"l{MOST_NESTED - 1}", now=0)
    assert deepest.exact
    assert User.objects.filter(deepest.lower).count() == 2


def test_a_segment_may_be_as_broad_as_it_likes(four: None) -> None:
    values = tuple(f"x{n}" for n in range(3_000))
    texts = [
        Clause(attribute="name", op="startsWith", values=(*values, "Barb")),
        Clause(attribute="custom_plan", op="in", values=(*values, "free")),
    ]
    rules = [Rule(clauses=(Clause(attribute="name", op="in", values=(x,)),)) for x in values[:1200]]
    definition = SegmentDefinition(key="x", rules=(*rules, Rule(clauses=tuple(texts))))
    assert emails(User.objects.in_segment(definition)) == ["b@agpt.co"]


def test_users_without_an_app_for_segments_raise_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation, "_registered", [])
    # Another test may have asked already.
    monkeypatch.setattr(segmentation, "resolver", segmentation.resolver.__wrapped__)
    with pytest.raises(ImproperlyConfigured, match="knows segments"):
        User.objects.in_segment("employee")
