"""The writes of the stress test to another project's users and organizations, and to what belongs to them.

Each gives the addresses that it has certainly made old: nobody may answer as before once it has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from django.db import transaction
from django.utils import timezone

from featureflags.kinds.declaration import Kind
from featureflags.kinds.snapshot import Address
from tests.customers.declarations import EmployeeKind, OrganizationKind
from tests.customers.models import Company, Customer, Membership, Order, Profile, Tag, Team
from tests.featureflags.cache.stress_tools import chance, execute, execute_elsewhere

KINDS: Final[tuple[type[Kind], ...]] = (EmployeeKind, OrganizationKind)
RENAME: Final = "UPDATE customers_company SET name = '{name}' WHERE id = {key}"


def create(people: int) -> None:
    """So many customers of two companies, with a profile, in teams and with tags that all share."""
    firms = [Company.objects.create(name=name, seats=10) for name in ("Acme", "Bolt")]
    for name in ("red", "blue"):
        Team.objects.create(name=name)
        Tag.objects.create(name=name)
    for number in range(people):
        customer = Customer.objects.create(username=f"customer {number}")
        Profile.objects.create(customer=customer, plan="free", company=firms[number % 2])


def find(address: Address) -> Customer | None:
    """The customer, or one of the company."""
    if isinstance(address, str):
        return Customer.objects.filter(pk=address).first()
    return Customer.objects.filter(profile__company_id=int(address[1])).first()


def company_of(customer: Customer) -> Company | None:
    return Company.objects.filter(profile__customer=customer).first()


def addresses_of(customer: Customer) -> list[Address]:
    """Of the customer, and of their company."""
    company = company_of(customer)
    named: list[Address] = [] if company is None else [("organization", str(company.pk))]
    return [str(customer.pk), *named]


def _save(company: Company) -> None:
    company.save()


def _update(company: Company) -> None:
    Company.objects.filter(pk=company.pk).update(name=company.name, seats=chance.randrange(99))


def _bulk_update(company: Company) -> None:
    Company.objects.bulk_update([company], ["name"])


def _raw_sql(company: Company) -> None:
    execute(RENAME.format(name=company.name, key=company.pk))


def renamed(write: Callable[[Company], None]) -> Callable[[Customer], Sequence[Address]]:
    """Their company gets a name that none had before, which every customer of it has as an attribute."""

    def rename(customer: Customer) -> Sequence[Address]:
        with transaction.atomic():
            company = company_of(customer)
            if company is None:
                return []
            company.name = f"{write.__name__} {chance.random()}"
            write(company)
            theirs = Company.objects.filter(profile__customer=customer, name=company.name)
            # Others may have moved the customer meanwhile.
            own = [str(customer.pk)] if theirs.exists() else []
        return [*own, ("organization", str(company.pk))]

    return rename


def rename_customer(customer: Customer) -> Sequence[Address]:
    Customer.objects.filter(pk=customer.pk).update(username=f"{customer.pk} {chance.random()}")
    return [str(customer.pk)]


def rename_elsewhere(customer: Customer) -> None:
    company = company_of(customer)
    if company is not None:
        name = f"Foreign {chance.random()}"
        execute_elsewhere(RENAME.format(name=name, key=company.pk))


def rename_and_think_better_of_it(customer: Customer) -> None:
    with transaction.atomic():
        renamed(_update)(customer)
        transaction.set_rollback(True)


def change_plan(customer: Customer) -> None:
    Profile.objects.filter(customer=customer).update(plan=chance.choice(["free", "pro"]))


def move(customer: Customer) -> None:
    Profile.objects.filter(customer=customer).update(
        company=chance.choice([*Company.objects.all()])
    )


def replace_profile(customer: Customer) -> None:
    with transaction.atomic():
        Profile.objects.filter(customer=customer).delete()
        firm = chance.choice([*Company.objects.all()])
        Profile.objects.create(customer=customer, plan="pro", company=firm)


def seat_everybody(_customer: Customer) -> None:
    Company.objects.update(seats=chance.randrange(1000))


def order(customer: Customer) -> None:
    Order.objects.bulk_create([Order(customer=customer, placed_at=timezone.now())])


def order_elsewhere(customer: Customer) -> None:
    execute_elsewhere(
        "INSERT INTO customers_order (customer_id, placed_at, state)"
        f" VALUES ({customer.pk}, '2026-01-01 00:00:00+00:00', 'open')"
    )


def cancel_orders(customer: Customer) -> None:
    Order.objects.filter(customer=customer).delete()


def take_an_order(customer: Customer) -> None:
    found = Order.objects.exclude(customer=customer).first()
    if found is not None:
        Order.objects.filter(pk=found.pk).update(customer=customer)


def join_or_leave(customer: Customer) -> None:
    if not Membership.objects.filter(customer=customer).delete()[0]:
        Membership.objects.create(customer=customer, team=chance.choice([*Team.objects.all()]))


def rename_team(_customer: Customer) -> None:
    team = chance.choice([*Team.objects.all()])
    team.name = f"Team {chance.random()}"
    team.save()


def set_tags(customer: Customer) -> None:
    customer.tags.set(chance.sample([*Tag.objects.all()], chance.randrange(3)))


WRITES: Final[tuple[Callable[[Customer], Sequence[Address] | None], ...]] = (
    *map(renamed, (_save, _update, _bulk_update, _raw_sql)),
    *(rename_customer, rename_elsewhere, rename_and_think_better_of_it),
    *(change_plan, move, replace_profile, seat_everybody),
    *(order, order_elsewhere, cancel_orders, take_an_order),
    *(join_or_leave, rename_team, set_tags),
)
