"""Runs in the shop, in the environment of the wheel. Without arguments it reads names of functions, one a line, and
prints what each returns as a line of JSON; `python shop_program.py write_segments` is the same for one."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.tested")
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - after the line above
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from featureflags.audience.querysets import Resolver  # noqa: E402
from featureflags.contexts.attributes import attributes_of  # noqa: E402
from featureflags.core.times import now_in_microseconds  # noqa: E402
from featureflags.evaluation import is_enabled, variation_detail  # noqa: E402
from featureflags.evaluation.arguments import parse_subject  # noqa: E402
from featureflags.evaluation.resolve import resolve  # noqa: E402
from featureflags.kinds.registry import kind_or_user, kinds  # noqa: E402
from featureflags.kinds.segmentation import resolver  # noqa: E402
from featureflags.models import Segment  # noqa: E402
from featureflags.segments.parsing import parse_definition  # noqa: E402
from featureflags.segments.ruleset import Ruleset  # noqa: E402

FLAG = "team-checkout"
PLANNER = "seat-planner"
PEOPLE: Any = get_user_model()._default_manager


def clause(attribute: str, op: str, *values: object) -> dict[str, Any]:
    return {"attribute": attribute, "op": op, "values": list(values), "negate": False}


def write_segments() -> object:
    """Companies with more than 50 seats, and those of them on the plan pro who ordered lately."""
    large = [clause("seats", "greaterThan", 50)]
    rules = {
        "large_company": large,
        "pro_of_large_company": [*large, clause("plan", "in", "pro")],
        "ordered": [clause("last_order_at", "after", "2026-01-01T00:00:00Z")],
        "support": [clause("teams", "in", "support")],
    }
    companies = {"large_organization": large}
    for key, clauses in (rules | companies).items():
        kind = "organization" if key in companies else "user"
        segment = Segment(key=key, name=key.replace("_", " "), kind=kind, rules=[])
        segment.rules = [{"id": key, "description": "", "clauses": clauses}]
        segment.full_clean()
        segment.save()
    return sorted(rules)


def planner() -> object:
    """The flag for large companies: of a company by its key and loaded, and of people."""
    from users.models import Company  # type: ignore[attr-defined]  # noqa: PLC0415 - the shop's

    acme, bolt = (Company.objects.get(name=name) for name in ("Acme", "Bolt"))
    found = resolve("42").to_dict()
    return {
        "acme": is_enabled(PLANNER, acme),
        "by_key": is_enabled(PLANNER, ("organization", str(acme.pk))),
        "bolt": is_enabled(PLANNER, bolt),
        "person of acme": is_enabled(PLANNER, "42"),
        "person of bolt": is_enabled(PLANNER, "43"),
        "person of none": is_enabled(PLANNER, "44"),
        "attributes": found["related"]["organization"]["attributes"],
    }


def answer() -> object:
    """The same person loaded, by key, and somebody who does not exist."""
    person = PEOPLE.get(username="person42")
    detail = variation_detail(FLAG, "42")
    return {
        "key": str(person.pk),
        "loaded": is_enabled(FLAG, person),
        "by_key": is_enabled(FLAG, "42"),
        "another": is_enabled(FLAG, "41"),
        "nobody": is_enabled(FLAG, "4200"),
        "degraded": [str(reason) for reason in detail.degraded],
        "attributes": resolve("42").to_dict()["attributes"],
    }


def compare() -> object:
    """What rows each segment holds: by SQL, and by evaluating all rows of its kind."""
    everybody = {
        kind.name: [(key, resolve((kind.name, key)).segments) for key in kind.keys(kind.rows())]
        for kind in kinds()
    }
    in_sql = resolver().members
    return {
        key: [
            sorted(str(each.pk) for each in in_sql(kind_or_user(kind).rows(), key, None)),
            sorted(row for row, segments in everybody[kind] if key in segments),
        ]
        for key, kind in Segment.objects.values_list("key", "kind")
    }


VALUES: Final[dict[str, list[tuple[str, list[Any]]]]] = {
    "string": [
        ("in", []),
        ("startsWith", ["a", "p"]),
        ("contains", ["o"]),
        ("matches", ["[0-9]$"]),
    ],
    "number": [("in", []), ("lessThan", [1]), ("greaterThanOrEqual", [50])],
    "boolean": [("in", [True]), ("in", [False])],
    "datetime": [("before", ["2026-01-01T00:00:00Z"]), ("after", ["2020-01-01T00:00:00Z"])],
    "list": [("in", []), ("contains", ["u"]), ("hasAtLeast", [1])],
}
"""Operators and values for each type of attribute; beside these, values that the rows have."""


def prove() -> object:
    """Every attribute of both kinds, by each of these operators, negated too: where SQL and memory differ."""
    now, tried, differ = now_in_microseconds(), 0, list[object]()
    for kind in kinds():
        rows = {row.key: attributes_of(row, now) for row in kind.snapshots(kind.rows())}
        for attribute in kind.attributes:
            seen = [found.get(attribute.name) for found in rows.values()]
            flat = [one for each in seen for one in (each if isinstance(each, list) else [each])]
            known = [each for each in dict.fromkeys(flat) if each is not None][:3]
            for op, values in [*VALUES[attribute.type.value], ("exists", [True])]:
                for negate in (False, True):
                    wanted = {**clause(attribute.name, op, *(values or known)), "negate": negate}
                    tried += 1
                    if found := difference(kind, rows, wanted, now):
                        differ.append([kind.name, wanted, sorted(found)])
    return {"tried": tried, "differ": differ}


def difference(kind: Any, rows: dict[str, Any], wanted: dict[str, Any], now: int) -> set[str]:
    """The rows that are in a segment of this one condition by SQL and not in memory, or the other way round."""
    rules = [{"id": "r", "description": "", "clauses": [wanted]}]
    definition = parse_definition({"key": "proof", "kind": kind.name, "rules": rules})
    ruleset = Ruleset([definition])
    memory = {key for key, row in rows.items() if ruleset.match(row, now=now, kind=kind.name)}
    return memory ^ set(kind.keys(Resolver().members(kind.rows(), definition, now)))


def change() -> object:
    """What each write of a related row does to the next answer."""
    from orders.models import Order  # type: ignore[import-not-found]  # noqa: PLC0415 - the shop's

    from users.models import Company, Membership, Profile, Team  # type: ignore[attr-defined]  # noqa: PLC0415 - the shop's

    def has(segment: str, key: str = "42") -> bool:
        return segment in resolve(key).segments

    seen = {"before": has("pro_of_large_company")}
    profile = Profile.objects.get(user_id=42)
    profile.plan = "free"
    profile.save()
    seen["profile"] = has("pro_of_large_company")
    Profile.objects.filter(user_id=42).update(plan="pro")
    seen["update"] = has("pro_of_large_company")
    Company.objects.filter(name="Acme").update(seats=10)
    seen["company"] = has("large_company")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE users_company SET seats = 80 WHERE name = 'Acme'")
    seen["raw SQL"] = has("large_company")
    seen["no order"] = has("ordered")
    order = Order.objects.create(customer_id=42, total=1)
    seen["order"] = has("ordered")
    Order.objects.filter(pk=order.pk).update(customer_id=43)
    seen["moved away"], seen["moved here"] = has("ordered"), has("ordered", "43")
    order.delete()
    seen["deleted"] = has("ordered", "43")
    membership = Membership.objects.create(team=Team.objects.get(name="support"), user_id=42)
    seen["team"] = has("support")
    membership.delete()
    seen["left"] = has("support")
    return seen


def open_pages() -> object:
    """The status of every page of ours in the admin, and of those that come with the URLs."""
    boss = PEOPLE.create_superuser("boss", "boss@example.com", "secret")
    client = Client(raise_request_exception=False)
    client.force_login(boss)
    segment = Segment.objects.get(key="pro_of_large_company")
    ours = "/admin/featureflags/segment"
    pages = [
        *("/admin/", "/healthz", "/readyz", "/"),
        *(f"{ours}/", f"{ours}/add/", f"{ours}/{segment.pk}/change/", f"{ours}/flags/"),
        *(f"{ours}/{page}/{segment.key}/" for page in ("members", "by-name", "history")),
        *(f"{ours}/flags/{FLAG}/", f"{ours}/user-context/42/", f"{ours}/why/?person=person42"),
        *(f"{ours}/why/segment/{segment.key}/42/", f"{ours}/why/flag/{FLAG}/42/"),
        *(f"{ours}/members/large_organization/", f"{ours}/why/segment/large_organization/1/"),
        *(f"{ours}/context/organization/1/", f"{ours}/why/flag-for/organization/{PLANNER}/1/"),
        f"{ours}/add/?kind=organization",
        *("/admin/featureflags/segmentmember/add/", "/admin/featureflags/warmrun/"),
        "/admin/users/user/42/change/",
    ]
    return {page: client.get(page).status_code for page in pages}


def describe() -> object:
    """The attributes of one person and their company, and where they came from."""
    found = resolve("42")
    shown = found.to_dict()
    company = shown["related"]["organization"]["attributes"]
    return {**shown["attributes"], "organization": company, "source": str(found.source)}


def answers() -> object:
    """What each flag says of those whom writes move."""
    return {
        "person": is_enabled(FLAG, "42"),
        "company": is_enabled(PLANNER, parse_subject("organization:1")),
        "person of the company": is_enabled(PLANNER, "42"),
    }


def list_tasks() -> object:
    """What the shop's own Celery knows of us."""
    from config import celery_app  # noqa: PLC0415 - the shop's

    celery_app.autodiscover_tasks(force=True)
    tasks = celery_app.tasks
    tasks["featureflags.tasks.count_segments"].delay()
    planned = {entry["task"] for entry in celery_app.conf.beat_schedule.values()}
    return {
        "known": "featureflags.tasks.warm_contexts" in tasks,
        "lacking": sorted(planned - set(tasks)),
        "counted": Segment.objects.filter(size__isnull=False).count() > 0,
    }


if __name__ == "__main__":
    for name in sys.argv[1:] or map(str.strip, sys.stdin):
        print(json.dumps(globals()[name]()), flush=True)
