"""Wrong declarations are found by the system checks, and leave the rest of the kind as it is."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import (
    CharField,
    Count,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Value,
)
from django.db.models.functions import Concat, Upper

from featureflags.checks.kinds import check_kinds
from featureflags.contexts.attributes import catalogue
from featureflags.kinds import (
    Boolean,
    DaysSince,
    Kind,
    Many,
    Metadata,
    Number,
    Related,
    Text,
    WatchRows,
    registry,
)
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.slots import Form, refuse_type
from tests.customers.declarations import CustomerKind, OrganizationKind
from tests.customers.models import Customer, Order
from tests.featureflags.kinds.conftest import declared
from users.models import User


class Right(Kind):
    name = "user"
    model = User
    title = "email"
    email = Text("email")


def kind(**body: Any) -> type[Kind]:
    return type("Declared", (Right,), body)


def found(**body: Any) -> list[tuple[str, str]]:
    """Id and message of each check."""
    with declared(kind(**body)):
        return [(str(each.id).partition(".")[2], str(each.msg)) for each in check_kinds()]


WRONG: Any = ["Order"]


def number(source: Any) -> Number:
    return Number(ExpressionWrapper(source, output_field=IntegerField()))


def unwatched() -> Number:
    orders = Order.objects.filter(customer__username=OuterRef("email")).values("pk")[:1]
    return Number(Subquery(orders, output_field=IntegerField()))


class EncryptedField(CharField):  # type: ignore[type-arg]
    def from_db_value(self, value: Any, *_: Any) -> Any:
        return value


def test_what_is_read_otherwise_than_it_is_stored() -> None:
    field = EncryptedField(max_length=5)
    with pytest.raises(TypeError, match="converts what it reads"):
        refuse_type(field, Form.TEXT, "secret")


@pytest.mark.parametrize("name", ["kind", "multi", "", "a:b", "my firm", "x" * 101, 5])
def test_a_name_that_launchdarkly_does_not_take(name: Any) -> None:
    other = type("Other", (Kind,), {"name": name, "model": Customer})
    with declared(Right, other):
        assert [each.id for each in check_kinds()] == ["featureflags.E061"]
        assert [kind.name for kind in registry.kinds()] == ["user"]


def test_an_expression_is_watched_where_it_reads() -> None:
    both = Text(Concat("email", Value(" "), "role", output_field=CharField()))
    [watch] = CompiledKind(kind(both=both)).watches
    assert {"email", "role"} <= set(watch.columns)


def test_a_right_one_is_right() -> None:
    assert found() == []


def test_the_project_s_own_is_right() -> None:
    assert check_kinds() == []


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (Text("nickname"), "User has no field named 'nickname'"),
        (Text("groups__nickname"), "Group has no field named 'nickname'"),
        (Text("groups__name"), "User.groups__name leads to many rows: use Many, or a subquery"),
        (Many("email"), "User.email leads to one row"),
        (Text("email__name"), "User.email is a LowerCaseEmailField, which leads to no other row"),
        (Number("email"), "User.email is a LowerCaseEmailField, which does not fit number"),
        (Boolean("role"), "User.role is a CharField, which does not fit boolean"),
        (DaysSince("is_staff"), "User.is_staff is a BooleanField, which does not fit instant"),
        (Metadata("email"), "User.email is a LowerCaseEmailField, which does not fit object"),
        (Number(F("role")), "The expression needs an output_field"),
        (
            Many(Subquery(Order.objects.values("state"), output_field=IntegerField())),
            "Many takes a path",
        ),
        (Many("groups"), "User.groups has no column"),
        (Text(None), "The source is None"),  # type: ignore[arg-type]
        (Text("role", choices=["a", "b"]), "The choices must be pairs"),  # type: ignore[list-item]
        (Number(Count("pk")), "An aggregate or a window is of many rows"),
        (number(F("nobody") + 1), "Cannot resolve keyword 'nobody'"),
        (number(F("groups__id") + 1), "User.groups__id leads to many rows"),
        (
            Number(Subquery(Order.objects.values("pk", "state"), output_field=IntegerField())),
            "The subquery must select one",
        ),
        (
            Text(Upper("email", output_field=CharField()), watch=WRONG),
            "its watch: 'Order' is not a WatchRows",
        ),
    ],
)
def test_a_field_that_cannot_be_used(field: Any, why: str) -> None:
    [(known, message)] = [each for each in found(wrong=field) if each[0] != "W067"]
    assert known == "E060"
    assert message.startswith(f"The kind 'user', wrong: {why}")
    if "watch" in why:
        return
    with declared(kind(wrong=field)):
        assert "wrong" not in catalogue()
        assert "email" in catalogue()


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (Related("profile__company", kind="planet"), "'planet' names no other kind"),
        (Related("profile__company", kind="user"), "'user' names no other kind"),
        (Related("profile__nobody", kind="organization"), "Profile has no field named 'nobody'"),
        (Related("orders", kind="organization"), "Customer.orders__id leads to many rows"),
    ],
)
def test_a_related_row_that_cannot_be_found(field: Any, why: str) -> None:
    wrong = type("Wrong", (CustomerKind,), {"organization": field})
    with declared(wrong, OrganizationKind) as made:
        [(name, problem)] = made.problems
        assert name == "organization"
        assert problem.startswith(why), problem
        assert made.related == {}


@pytest.mark.parametrize("name", ["segments", "kind", "custom_plan", "Plan"])
def test_names_that_mean_something_else(name: str) -> None:
    [(number, message)] = found(**{name: Text("role")})
    assert (number, name in message) == ("E062", True)


@pytest.mark.parametrize(
    ("body", "number", "word"),
    [
        ({"model": Customer, "title": "username", "email": Text("email")}, "E063", "visitor"),
        ({"key": "email"}, "E063", "primary key"),
        ({"title": "nickname"}, "E064", "nickname"),
        ({"search": ("email", "nickname")}, "E064", "nickname"),
        ({"last_seen": "seen"}, "E064", "seen"),
        ({"listed": ("role",)}, "E064", "role"),
        ({"title": "name"}, "W065", "index"),
        ({"title": "metadata"}, "E064", "metadata is a "),
        ({"last_seen": "email"}, "E064", "last_seen"),
        ({"search": "email"}, "E064", "tuple"),
        ({"active": Q(nobody=1)}, "E064", "nobody"),
        (
            {"email": Text("email", verified_by="role")},
            "E064",
            "verified_by: 'role' is not a Boolean",
        ),
        ({"titel": "email"}, "E064", "titel: it is neither"),
        ({"role": Text}, "E064", "write Text"),
        ({"role": unwatched()}, "W067", "customers_order"),
        ({"key": "nickname"}, "E061", "nickname"),
        ({"key": "role"}, "E061", "not unique"),
        ({"key": "last_login"}, "E061", "not unique"),
        ({"model": "users.User"}, "E061", "no class of a model"),
        ({"model": AbstractBaseUser}, "E061", "no class of a model"),
    ],
)
def test_options(body: dict[str, Any], number: str, word: str) -> None:
    if number == "E061":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(registry, "declared_classes", lambda: (kind(**body),))
            registry.forget()
            [message] = check_kinds()
            # Nothing is sent but the key, and a page that asks for a flag goes on.
            assert [each.name for each in registry.user_kind().attributes] == ["key"]
        registry.forget()
        assert (message.id, word in message.msg) == ("featureflags.E061", True)
        return
    [(known, text)] = found(**body)
    assert (known, word in text) == (number, True)


def test_two_kinds_of_one_name() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "declared_classes", lambda: (Right, kind()))
        registry.forget()
        assert [message.id for message in check_kinds()] == ["featureflags.E061"]
    registry.forget()


def test_without_a_declaration_the_user_model_is_a_kind() -> None:
    compiled = CompiledKind(registry.default_kind())
    assert compiled.problems == []
    names = {attribute.name for attribute in compiled.attributes}
    assert names >= {"key", "email", "email_domain", "is_staff", "groups"}
    assert compiled.title == "email"


def test_rows_that_lead_elsewhere_are_no_watch() -> None:
    count = Subquery(
        Order.objects.filter(customer=OuterRef("pk"))
        .values("customer")
        .annotate(n=Count("pk"))
        .values("n"),
        output_field=IntegerField(),
    )
    field = Number(count, watch=WatchRows(Order, "customer"))
    [(number, message)] = found(orders=field)
    assert (number, "Order.customer does not lead to User" in message) == ("E060", True)
    assert CompiledKind(CustomerKind).problems == []
