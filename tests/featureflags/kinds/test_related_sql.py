"""Writes of related rows that no ORM makes alone: upserts, COPY, cascades of the database, triggers of the project.

Each is seen when it returns, as every other write; see `test_related_writes`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce, Upper

from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import user_kind
from tests.customers.models import Company, Customer, Membership, Order, Profile, Team
from tests.featureflags.kinds.unusual_models.test_writes_are_seen import fill, stale
from tests.featureflags.kinds.unusual_models.writes import execute
from tests.featureflags.kinds.worlds import world

pytestmark = pytest.mark.django_db(transaction=True)

NOW = "CURRENT_TIMESTAMP"


@pytest.fixture(autouse=True)
def customers(watched: CompiledKind) -> None:
    """A world in which the first customer has everything."""
    first, *_ = world(5)
    company = Company.objects.create(name="First", seats=7)
    Profile.objects.filter(customer=first).delete()
    Profile.objects.create(customer=first, plan="free", country="DE", company=company)
    Membership.objects.create(customer=first, team=Team.objects.earliest("pk"))
    Order.objects.create(customer=first, state="first")


def first() -> Customer:
    return Customer.objects.earliest("pk")


def in_bulk() -> None:
    profiles = list(Profile.objects.all())
    for profile in profiles:
        profile.country = "XX"
    Profile.objects.bulk_update(profiles, ["country"])


def upsert_of_django() -> None:
    Company.objects.bulk_create(
        [Company(pk=each.pk, name="New", seats=9) for each in Company.objects.all()],
        update_conflicts=True,
        unique_fields=["pk"],
        update_fields=["name", "seats"],
    )


def upsert() -> None:
    execute(
        "INSERT INTO customers_profile (customer_id, plan, country)"
        " SELECT customer_id, 'pro', 'ZZ' FROM customers_profile WHERE true"
        " ON CONFLICT (customer_id) DO UPDATE SET plan = 'pro', country = 'ZZ'"
    )


def by_a_subquery() -> None:
    latest = Order.objects.filter(customer=OuterRef("pk")).annotate(up=Upper("state"))
    Customer.objects.update(email=Coalesce(Subquery(latest.values("up")[:1]), Value("none")))
    Company.objects.update(seats=F("seats") + 1)


def over_a_join() -> None:
    Profile.objects.filter(customer__orders__isnull=False).update(plan="pro", country="JJ")
    Order.objects.filter(customer__profile__company__seats__gt=1).update(state="joined")


def load(folder: Path) -> None:
    """As a fixture of the project, with the key of a row that exists."""
    row = Profile.objects.get(customer=first())
    fields = {"customer": row.customer_id, "plan": "pro", "country": "LL", "company": None}
    document = [{"model": "customers.profile", "pk": row.pk, "fields": fields}]
    (folder / "rows.json").write_text(json.dumps(document))
    call_command("loaddata", str(folder / "rows.json"), verbosity=0)


def returning() -> None:
    list(Profile.objects.raw("UPDATE customers_profile SET country = 'RR' RETURNING *"))


EVERYWHERE: dict[str, Callable[[], object]] = {
    "bulk_update": in_bulk,
    "bulk_create with update_conflicts": upsert_of_django,
    "ON CONFLICT DO UPDATE": upsert,
    "F and Subquery": by_a_subquery,
    "update over joins": over_a_join,
    "raw with RETURNING": returning,
    "UPDATE FROM": lambda: execute(
        "UPDATE customers_profile SET country = 'UU' FROM customers_order"
        " WHERE customers_order.customer_id = customers_profile.customer_id"
    ),
    "INSERT SELECT": lambda: execute(
        "INSERT INTO customers_order (customer_id, placed_at, state)"
        f" SELECT id, {NOW}, 'all' FROM customers_customer"
    ),
    "move by a subquery": lambda: execute(
        "UPDATE customers_order SET customer_id = (SELECT MAX(id) FROM customers_customer)"
    ),
}


def copied() -> None:
    statement, key = "COPY customers_order (customer_id, placed_at, state) FROM STDIN", first().pk
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write_row((key, "2026-01-01T00:00:00Z", "copied"))


def cascaded() -> None:
    """As `db_on_delete` of newer versions of Django declares it."""
    execute(
        "ALTER TABLE customers_order ADD CONSTRAINT cascades FOREIGN KEY (customer_id)"
        " REFERENCES customers_customer (id) ON DELETE CASCADE"
    )
    execute(
        "ALTER TABLE customers_profile ADD CONSTRAINT empties FOREIGN KEY (company_id)"
        " REFERENCES customers_company (id) ON DELETE SET NULL"
    )
    try:
        execute("DELETE FROM customers_company")
        with transaction.atomic():
            # The other tables' foreign keys are checked at the end.
            execute("DELETE FROM customers_customer WHERE id = %s", first().pk)
            for table in ("profile", "membership", "customer_tags", "customer_groups"):
                execute(
                    f"DELETE FROM customers_{table} WHERE customer_id"
                    " NOT IN (SELECT id FROM customers_customer)"
                )
    finally:
        execute("ALTER TABLE customers_order DROP CONSTRAINT cascades")
        execute("ALTER TABLE customers_profile DROP CONSTRAINT empties")


def by_a_trigger_of_the_project() -> None:
    execute(
        "CREATE OR REPLACE FUNCTION count_orders() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE customers_profile SET country = 'TT' WHERE customer_id = NEW.customer_id;"
        " NEW.state := 'changed'; RETURN NEW; END $$"
    )
    execute(
        "CREATE TRIGGER counts BEFORE INSERT ON customers_order"
        " FOR EACH ROW EXECUTE FUNCTION count_orders()"
    )
    try:
        Order.objects.create(customer=first(), state="x")
    finally:
        execute("DROP FUNCTION count_orders CASCADE")


def merged() -> None:
    execute(
        "MERGE INTO customers_profile AS mine USING customers_customer AS theirs"
        " ON mine.customer_id = theirs.id"
        " WHEN MATCHED AND mine.plan = 'free' THEN DELETE"
        " WHEN MATCHED THEN UPDATE SET country = 'MM'"
        " WHEN NOT MATCHED THEN INSERT (customer_id, plan, country) VALUES (theirs.id, 'pro', 'NN')"
    )


def with_foreign_keys_off() -> None:
    execute("SET session_replication_role = replica")
    try:
        execute("UPDATE customers_company SET name = 'Replica'")
        execute("DELETE FROM customers_tag")
    finally:
        execute("RESET session_replication_role")


def swapped_within_a_statement() -> None:
    execute(
        "WITH gone AS (DELETE FROM customers_order RETURNING customer_id)"
        " UPDATE customers_profile SET country = 'WW' FROM gone"
        " WHERE gone.customer_id = customers_profile.customer_id"
    )


def prepared() -> None:
    execute("PREPARE rename AS UPDATE customers_team SET name = $1")
    execute("EXECUTE rename ('prepared')")
    execute("DEALLOCATE rename")


POSTGRESQL: dict[str, Callable[[], object]] = {
    "COPY": copied,
    "cascades of the database": cascaded,
    "a trigger of the project": by_a_trigger_of_the_project,
    "MERGE": merged,
    "session_replication_role": with_foreign_keys_off,
    "writes in WITH": swapped_within_a_statement,
    "TRUNCATE of related rows": lambda: execute("TRUNCATE customers_order"),
    "TRUNCATE CASCADE": lambda: execute("TRUNCATE customers_company CASCADE"),
    "DO": lambda: execute("DO $$ BEGIN UPDATE customers_team SET name = 'done'; END $$"),
    "PREPARE": prepared,
}


def changed() -> dict[Any, Any]:
    """What the rows say, by customer."""
    kind = user_kind()
    return {row.key: row for row in kind.snapshots(kind.rows())}


@pytest.fixture
def seen() -> Iterator[None]:
    """Every row is in the cache; afterwards none of what it says is old, and the write was one."""
    before, known = changed(), fill()
    yield
    assert changed() != before
    assert stale(known) == {}


@pytest.mark.parametrize("write", EVERYWHERE.values(), ids=EVERYWHERE)
def test_each_write_is_seen_when_it_returns(seen: None, write: Callable[[], object]) -> None:
    write()


def test_so_is_a_fixture_that_is_loaded(seen: None, tmp_path: Path) -> None:
    load(tmp_path)


@pytest.mark.production_stack
@pytest.mark.parametrize("write", POSTGRESQL.values(), ids=POSTGRESQL)
def test_so_is_each_that_postgresql_alone_has(
    request: pytest.FixtureRequest, write: Callable[[], object]
) -> None:
    if write is merged and connection.pg_version < 150000:  # type: ignore[attr-defined]
        pytest.skip("MERGE came with PostgreSQL 15")
    request.getfixturevalue("seen")
    write()
