"""Rows of unusual models, and every way to write them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from django.db import connection

from tests.customers.models import Person
from tests.customers.partners import Mark, Marking, Partner, Pass, Reseller, TopReseller

Chance = random.Random
PARTNER, RESELLER = Partner._meta.db_table, Reseller._meta.db_table


def world(seed: int) -> None:
    chance = Chance(seed)
    for label in ("gold", "silver", "tin"):
        Mark.every.create(text=f"m-{label}", label=label, is_gone=label == "tin")
    for number in range(4):
        known = list(Partner.every.all())
        Partner.every.create(
            code=f"p{number}",
            name=chance.choice(["Acme", "acme", "Ünion"]),
            parent=chance.choice([None, *known]),
        )
    for number in range(4):
        Reseller.every.create(
            code=f"r{number}",
            name=f"Reseller {number}",
            region=chance.choice(["north", "south"]),
            parent=chance.choice(list(Partner.every.all())),
            backup=chance.choice([None, *Reseller.every.all()]),
        )
    for partner in Partner.every.all():
        for mark in chance.sample(list(Mark.every.all()), chance.randrange(3)):
            Marking.objects.create(partner=partner, mark=mark)
    for number in range(3):
        person = Person.objects.create(username=f"u{number}")
        Pass.objects.create(
            person=person, colour="red", partner=chance.choice(list(Reseller.every.all()))
        )


def one(chance: Chance, model: Any) -> Any:
    rows = model.every if hasattr(model, "every") else model.objects
    return chance.choice(list(rows.order_by("pk")))


def execute(statement: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def name_in_other_letters(chance: Chance) -> None:
    del chance
    execute(f"UPDATE {PARTNER} SET name = UPPER(name)")


def name_of_a_child(chance: Chance) -> None:
    reseller = one(chance, Reseller)
    reseller.name = f"n{chance.randrange(10**6)}"
    reseller.save()


def name_by_the_parent(chance: Chance) -> None:
    key = one(chance, Reseller).pk
    Partner.every.filter(pk=key).update(name=f"n{chance.randrange(10**6)}")


def region_by_a_proxy(chance: Chance) -> None:
    top = TopReseller.every.get(pk=one(chance, Reseller).pk)
    top.region = f"r{chance.randrange(10**6)}"
    top.save(update_fields=["region"])


def hide_a_partner(chance: Chance) -> None:
    Partner.every.filter(pk=one(chance, Partner).pk).update(is_gone=True)


def hide_a_reseller(chance: Chance) -> None:
    execute(f"UPDATE {PARTNER} SET is_gone = %s WHERE id = %s", True, one(chance, Reseller).pk)


def show_everybody(chance: Chance) -> None:
    del chance
    Partner.every.update(is_gone=False)


def another_parent(chance: Chance) -> None:
    Partner.every.filter(pk=one(chance, Partner).pk).update(parent=one(chance, Partner))


def delete_a_partner(chance: Chance) -> None:
    if Partner.every.count() > 4:
        Partner.every.filter(pk=one(chance, Partner).pk).delete()


def no_reseller_any_more(chance: Chance) -> None:
    reseller = one(chance, Reseller)
    Pass.objects.filter(partner=reseller).update(partner=None)
    Reseller.every.filter(backup=reseller).update(backup=None)
    execute(f"DELETE FROM {RESELLER} WHERE partner_ptr_id = %s", reseller.pk)
    Reseller(partner_ptr=one(chance, Partner), region="new").save_base(raw=True)


def mark_another(chance: Chance) -> None:
    marking = Marking.objects.first()
    if marking is not None:
        Marking.objects.filter(pk=marking.pk).update(partner=one(chance, Partner))


def mark_otherwise(chance: Chance) -> None:
    execute(f"UPDATE {Marking._meta.db_table} SET mark_id = %s", one(chance, Mark).text)


def rename_a_mark(chance: Chance) -> None:
    Mark.every.filter(pk=one(chance, Mark).pk).update(label=f"l{chance.randrange(9)}")


def give_a_pass_away(chance: Chance) -> None:
    person = Person.objects.create(username=f"new{chance.randrange(10**9)}")
    Pass.objects.filter(pk=one(chance, Pass).pk).update(person=person)


def colour(chance: Chance) -> None:
    execute(f"UPDATE {Pass._meta.db_table} SET colour = %s", f"c{chance.randrange(99)}")


def another_code(chance: Chance) -> None:
    free = Partner.every.filter(children=None, marks=None).first()
    if free is not None:
        Partner.every.filter(pk=free.pk).update(code=f"c{chance.randrange(10**6)}")


WRITES: tuple[Callable[[Chance], None], ...] = (
    name_in_other_letters,
    name_of_a_child,
    name_by_the_parent,
    region_by_a_proxy,
    hide_a_partner,
    hide_a_reseller,
    show_everybody,
    another_parent,
    delete_a_partner,
    no_reseller_any_more,
    mark_another,
    mark_otherwise,
    rename_a_mark,
    give_a_pass_away,
    colour,
    another_code,
)
