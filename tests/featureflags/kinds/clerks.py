"""The kinds of `tests.customers.clerks`, their tables that Django has not made, and some rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from featureflags.evaluation.resolve import resolve
from featureflags.kinds import Boolean, Kind, Many, Number, Text, WatchRows
from tests.customers import clerks
from tests.customers.clerks import Clerk, Level, Plot
from tests.featureflags.kinds.unusual_models.writes import execute


class ClerkKind(Kind):
    name = "clerk"
    model = Clerk

    name_ = Text("name")
    level = Text("level", choices=Level)
    loud = Text("loud")
    grade = Number("grade")
    is_away = Boolean("is_away")
    friends = Many("friends__name")
    plots = Many("plots__label")


class ViewedKind(ClerkKind):
    name = "clerk"
    total = Number("total__number")


class WatchedViewKind(ClerkKind):
    name = "clerk"
    total = Number("total__number", watch=WatchRows(Plot, "clerk"))


class SpreadKind(ClerkKind):
    """With tables that PostgreSQL alone has."""

    name = "clerk"
    plan = Text("account__plan")
    visits = Many("visits__place")
    badges = Many("badge__texts")


class BadgeKind(Kind):
    name = "badge"
    model = getattr(clerks, "Badge", Clerk)
    texts = Many("texts")


@pytest.fixture
def tables(transactional_db: None) -> Iterator[None]:
    """What Django has not made."""
    execute(
        "CREATE VIEW customers_total AS"
        " SELECT clerk_id, COUNT(*) AS number FROM customers_plot GROUP BY clerk_id"
    )
    if connection.vendor == "postgresql":
        execute("CREATE SCHEMA crm")
        execute("CREATE TABLE crm.accounts (clerk_id bigint PRIMARY KEY, plan varchar(10))")
        execute(
            "CREATE TABLE customers_visit (id bigserial, clerk_id bigint, at int, place varchar(10),"
            " PRIMARY KEY (id, at)) PARTITION BY RANGE (at)"
        )
        for start in (0, 100):
            execute(
                f"CREATE TABLE customers_visit_{start} PARTITION OF customers_visit"
                f" FOR VALUES FROM ({start}) TO ({start + 100})"
            )
    yield
    execute("DROP VIEW customers_total")
    if connection.vendor == "postgresql":
        execute("DROP SCHEMA crm CASCADE")
        execute("DROP TABLE customers_visit")
    Clerk.objects.all().delete()


def some_clerks() -> tuple[Clerk, Clerk]:
    ada, bob = (Clerk.objects.create(name=name) for name in ("ada", "bob"))
    ada.friends.add(bob)
    Plot.objects.create(clerk=ada, number=1, label="north")
    Plot.objects.create(clerk=ada, number=2, label="south")
    return ada, bob


def resolve_clerk(clerk: Clerk) -> Any:
    return resolve(("clerk", str(clerk.pk))).context
