"""Random customers with everything that belongs to them."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal

from django.utils import timezone

from tests.customers.models import Company, Customer, Membership, Order, Profile, Tag, Team


def moment(chance: random.Random) -> datetime.datetime:
    return timezone.now() - datetime.timedelta(
        days=chance.randrange(90), seconds=chance.randrange(90)
    )


def companies(chance: random.Random) -> list[Company]:
    return [
        Company.objects.create(
            name=chance.choice(["Acme", "acme", "Ünion", ""]),
            seats=chance.choice([1, 50, 51, 500]),
            revenue=chance.choice([None, 0.5, -1.5, 1e300]),
            discount=chance.choice([None, Decimal("0.10"), Decimal("5.00")]),
            founded=chance.choice([None, datetime.date(1999, 12, 31), datetime.date(2026, 11, 1)]),
        )
        for _ in range(3)
    ]


def customer(chance: random.Random, number: int, firms: list[Company]) -> Customer:
    """One customer; some lack a profile, a company, orders, tags or teams."""
    found = Customer.objects.create(
        username=f"u{number}",
        email=chance.choice(["", f"u{number}@acme.example", f"U{number}@Other.example"]),
        is_staff=chance.random() < 0.3,
        date_joined=moment(chance),
        metadata=chance.choice([{}, {"level": 3}, {"level": "3", "list": [1, "a"]}]),
    )
    if chance.random() < 0.8:
        Profile.objects.create(
            customer=found,
            plan=chance.choice(["free", "pro"]),
            country=chance.choice(["", "DE", "FR"]),
            company=chance.choice([None, *firms]),
        )
    for _ in range(chance.randrange(3)):
        state = chance.choice(["open", "paid"])
        Order.objects.create(customer=found, placed_at=moment(chance), state=state)
    return found


def world(seed: int, size: int = 12) -> list[Customer]:
    chance = random.Random(seed)
    firms = companies(chance)
    tags = [Tag.objects.create(name=name) for name in ("beta", "Beta", "vip")]
    teams = [Team.objects.create(name=name) for name in ("red", "blue")]
    people = [customer(chance, number, firms) for number in range(size)]
    for each in people:
        each.tags.set(chance.sample(tags, chance.randrange(3)))
        for team in chance.sample(teams, chance.randrange(3)):
            Membership.objects.create(customer=each, team=team)
    return people
