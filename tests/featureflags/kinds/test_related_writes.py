"""A write to a related row is seen, by whatever way it is made: the watches follow from the paths."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from featureflags.cache import protocol, read_through
from featureflags.evaluation.resolve import contexts_for
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.snapshot import Address
from tests.customers.models import Company, Customer, Membership, Order, Profile, Tag, Team
from tests.featureflags.kinds.worlds import moment, world

pytestmark = pytest.mark.django_db(transaction=True)

Chance = random.Random


def one(chance: Chance, model: Any) -> Any:
    """A random row."""
    return chance.choice(list(model.objects.order_by("pk")))


def execute(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def save_profile(chance: Chance) -> None:
    profile = one(chance, Profile)
    profile.plan = "pro" if profile.plan == "free" else "free"
    profile.save()


def move_to_another_company(chance: Chance) -> None:
    Profile.objects.filter(pk=one(chance, Profile).pk).update(company=one(chance, Company))


def give_the_profile_to_another(chance: Chance) -> None:
    profile, other = one(chance, Profile), one(chance, Customer)
    Profile.objects.filter(customer=other).exclude(pk=profile.pk).delete()
    Profile.objects.filter(pk=profile.pk).update(customer=other)


def delete_profile(chance: Chance) -> None:
    if Profile.objects.count() > 2:
        one(chance, Profile).delete()


def create_profile(chance: Chance) -> None:
    lacking = Customer.objects.filter(profile=None).first()
    if lacking is not None:
        Profile.objects.create(customer=lacking, plan="pro", company=one(chance, Company))


def update_companies(chance: Chance) -> None:
    Company.objects.update(seats=chance.randrange(100), name=chance.choice(["Acme", "Other"]))


def delete_a_company(chance: Chance) -> None:
    if Company.objects.count() > 1:
        one(chance, Company).delete()


def order_in_bulk(chance: Chance) -> None:
    Order.objects.bulk_create(
        Order(customer=one(chance, Customer), placed_at=moment(chance)) for _ in range(3)
    )


def move_an_order(chance: Chance) -> None:
    if Order.objects.exists():
        Order.objects.filter(pk=one(chance, Order).pk).update(customer=one(chance, Customer))


def pay_by_sql(chance: Chance) -> None:
    del chance
    execute("UPDATE customers_order SET state = %s WHERE state = %s", "paid", "open")


def order_by_sql(chance: Chance) -> None:
    """In small letters, and its rows are never fetched."""
    values = (one(chance, Customer).pk, moment(chance), "open")
    execute(
        "insert into customers_order (customer_id, placed_at, state) values (%s, %s, %s) returning id",
        *values,
    )


def delete_orders_by_sql(chance: Chance) -> None:
    execute("DELETE FROM customers_order WHERE customer_id = %s", one(chance, Customer).pk)


def set_tags(chance: Chance) -> None:
    one(chance, Customer).tags.set(Tag.objects.filter(name__in=chance.sample(["beta", "vip"], 1)))


def clear_tags_from_the_other_side(chance: Chance) -> None:
    one(chance, Tag).customer_set.clear()


def rename_a_tag(chance: Chance) -> None:
    Tag.objects.filter(pk=one(chance, Tag).pk).update(name=f"tag{chance.randrange(9)}")


def join_a_team(chance: Chance) -> None:
    Membership.objects.bulk_create(
        [Membership(customer=one(chance, Customer), team=one(chance, Team))]
    )


def leave_teams(chance: Chance) -> None:
    Membership.objects.filter(customer=one(chance, Customer)).delete()


def rename_teams(chance: Chance) -> None:
    teams = list(Team.objects.all())
    for team in teams:
        team.name = f"team{chance.randrange(9)}"
    Team.objects.bulk_update(teams, ["name"])


def date_by_sql(chance: Chance) -> None:
    day = datetime.date(2020, 1, chance.randrange(1, 28))
    execute("UPDATE customers_company SET founded = %s", day)


def delete_a_customer(chance: Chance) -> None:
    if Customer.objects.count() > 4:
        one(chance, Customer).delete()


WRITES: tuple[Callable[[Chance], None], ...] = (
    save_profile,
    move_to_another_company,
    give_the_profile_to_another,
    delete_profile,
    create_profile,
    update_companies,
    delete_a_company,
    order_in_bulk,
    move_an_order,
    pay_by_sql,
    order_by_sql,
    delete_orders_by_sql,
    set_tags,
    clear_tags_from_the_other_side,
    rename_a_tag,
    join_a_team,
    leave_teams,
    rename_teams,
    date_by_sql,
    delete_a_customer,
)


def cached_and_stored(kind: CompiledKind) -> tuple[dict[Address, Any], dict[Address, Any]]:
    """What the cache would answer, and what the rows say, of those whom the cache knows."""
    keys = kind.keys(kind.rows())
    fresh = dict(protocol.read(keys).fresh)
    rows: dict[Address, Any] = {each.key: each for each in kind.snapshots(kind.rows())}
    return fresh, {key: rows[key] for key in fresh}


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_each_write_is_seen_when_it_returns(
    watched: CompiledKind, write: Callable[[Chance], None]
) -> None:
    world(3)
    chance = Chance(write.__name__)
    for in_transaction in (False, True):
        contexts_for(watched.keys(watched.rows()))
        if in_transaction:
            with transaction.atomic():
                write(chance)
        else:
            write(chance)
        cached, stored = cached_and_stored(watched)
        assert cached == stored


def test_a_write_touches_only_whom_it_concerns(watched: CompiledKind) -> None:
    """A new name of one company leaves the entries of all others in place."""
    world(3)
    keys = watched.keys(watched.rows())
    contexts_for(keys)
    company = Company.objects.filter(profile__isnull=False).first()
    assert company is not None
    theirs = {str(key) for key in company.profile_set.values_list("customer", flat=True)}
    Company.objects.filter(pk=company.pk).update(name="New name")
    assert set(keys) - protocol.read(keys).fresh.keys() == theirs


@pytest.mark.parametrize("seed", range(4))
def test_random_writes_one_after_another(watched: CompiledKind, seed: int) -> None:
    world(seed)
    chance = Chance(seed)
    for _ in range(40):
        contexts_for(watched.keys(watched.rows()))
        write = chance.choice(WRITES)
        write(chance)
        cached, stored = cached_and_stored(watched)
        assert cached == stored, write.__name__


def test_a_reader_between_a_write_and_its_commit(watched: CompiledKind) -> None:
    """The writer itself answers from its own write, and nobody keeps it after a rollback."""
    [first, *_] = world(3)
    key = str(first.pk)
    read_through.refill(key)
    with transaction.atomic():
        Order.objects.create(customer=first)
        [context] = contexts_for([key]).values()
        assert context.context.get("orders") == Order.objects.filter(customer=first).count()
        transaction.set_rollback(True)
    cached, stored = cached_and_stored(watched)
    assert cached == stored
