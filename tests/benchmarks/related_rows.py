"""The users of `related`: their kinds, their rows by the million, and the same written by hand."""

from __future__ import annotations

import time
from typing import ClassVar, Final

from django.core.management import call_command
from django.db import connection
from django.db.models import DateTimeField, Max, Model, OuterRef, Subquery

from featureflags.kinds import (
    Boolean,
    DaysSince,
    Domain,
    Instant,
    Kind,
    Metadata,
    Number,
    Text,
)
from tests.benchmarks.handwritten import By
from tests.customers.models import Customer, Order, Person

LAST_ORDER: Final = Subquery(
    Order.objects.filter(customer=OuterRef("pk"))
    .order_by()
    .values("customer")
    .annotate(last=Max("placed_at"))
    .values("last"),
    output_field=DateTimeField(),
)


class OwnKind(Kind):
    """Own columns alone, with integer keys."""

    name = "user"
    model: ClassVar[type[Model]] = Customer
    title = "username"

    username = Text("username", private=True)
    email = Text("email", private=True, user_writable=True)
    email_domain = Domain("email", user_writable=True)
    is_staff = Boolean("is_staff")
    created_at = Instant("date_joined")
    account_age_days = DaysSince("date_joined")
    metadata = Metadata("metadata")


class PersonKind(OwnKind):
    """The same, with UUIDs."""

    name = "user"
    model = Person


class JoinedKind(OwnKind):
    """With two joins."""

    name = "user"
    plan = Text("profile__plan")
    company = Text("profile__company__name")


class ShopperKind(JoinedKind):
    """What the segments of `related` test."""

    name = "user"
    country = Text("profile__country", blank_is_missing=True)
    seats = Number("profile__company__seats")
    last_order_at = Instant(LAST_ORDER)
    days_since_order = DaysSince(LAST_ORDER)


FILL: Final = (
    """INSERT INTO customers_company (name, seats)
    SELECT 'Company ' || g, g %% 200 FROM GENERATE_SERIES(1, %(users)s / 20) g""",
    """INSERT INTO customers_customer
        (username, email, is_staff, date_joined, is_active, last_login, metadata)
    SELECT 'person-' || g, 'person' || g || '@' || (ARRAY['acme.example', 'x.example'])[g %% 2 + 1],
        g %% 50 = 0, NOW() - (g %% 1000) * INTERVAL '1 day', TRUE, NULL,
        JSONB_BUILD_OBJECT('level', g %% 10, 'source', 'campaign-' || g %% 7)
    FROM GENERATE_SERIES(1, %(users)s) g""",
    """INSERT INTO customers_person
        (id, username, email, is_staff, date_joined, is_active, last_login, metadata)
    SELECT GEN_RANDOM_UUID(), username, email, is_staff, date_joined, is_active, last_login, metadata
    FROM customers_customer""",
    """INSERT INTO customers_profile (customer_id, plan, country, company_id)
    SELECT id, (ARRAY['free', 'free', 'free', 'pro'])[id %% 4 + 1], (ARRAY['DE', 'FR', ''])[id %% 3 + 1],
        CASE WHEN id %% 7 > 0 THEN id %% (%(users)s / 20) + 1 END
    FROM customers_customer WHERE id %% 10 > 0""",
    """INSERT INTO customers_order (customer_id, placed_at, state)
    SELECT c.id, NOW() - (c.id * 7 + k) %% 400 * INTERVAL '1 day', 'open'
    FROM customers_customer c, GENERATE_SERIES(1, 2) k WHERE c.id %% 10 < 4""",
)


def fill(users: int) -> float:
    """Migrate, and create so many users, with what belongs to them; in seconds."""
    started = time.perf_counter()
    call_command("migrate", verbosity=0, run_syncdb=True)
    with connection.cursor() as cursor:
        for statement in FILL:
            cursor.execute(statement, {"users": users})
        cursor.execute("VACUUM ANALYZE")
    return time.perf_counter() - started


JOINED: Final = By(
    first="0",
    keys="SELECT c.id::text FROM customers_customer c WHERE c.id > %s ORDER BY c.id LIMIT %s",
    rows="""\
SELECT c.id::text, c.username, c.email, c.is_staff,
    (EXTRACT(EPOCH FROM c.date_joined) * 1000000)::bigint, c.metadata::text, p.plan, f.name
FROM customers_customer c
    LEFT JOIN customers_profile p ON p.customer_id = c.id
    LEFT JOIN customers_company f ON f.id = p.company_id
WHERE c.id >= %s AND c.id <= %s""",
    fields=lambda row, decode: (*row[1:5], decode(row[5]), *row[6:]),
)
"""What one writes who warms the users of `JoinedKind`."""

PEOPLE: Final = """\
SELECT c.id, c.username, p.plan, p.country, f.name AS company, f.seats,
    (SELECT MAX(o.placed_at) FROM customers_order o WHERE o.customer_id = c.id) AS last_order
FROM customers_customer c
    LEFT JOIN customers_profile p ON p.customer_id = c.id
    LEFT JOIN customers_company f ON f.id = p.company_id"""
"""What one counts in who wants the attributes of `ShopperKind`."""
