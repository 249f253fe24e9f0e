"""What `kinds` runs once it has its servers: it fills them, and measures."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

from featureflags import evaluation
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation.resolve import resolve
from featureflags.kinds import Kind, Related, Text
from featureflags.models import Segment
from tests.benchmarks.prepared import default_client, in_a_unit
from tests.benchmarks.related_rows import OwnKind
from tests.benchmarks.timing import REPEATS, Figure, Timer, repeated
from tests.customers.declarations import OrganizationKind
from tests.customers.models import Company, Customer, Profile
from tests.featureflags.kinds.conftest import declared
from tests.services.flag_json import boolean_flag, clause, rule

KEY = "benchmark"
LARGE = rule({**clause("seats", "greaterThan", 50), "contextKind": "organization"})
FLAG = boolean_flag(KEY, rules=[LARGE], fallthrough=True)
AIMS = {
    "own columns: first check, loaded user": 6.0,
    "related fields: first check, loaded user": 8.0,
    "multi-context: a later check": 1.1,
}
MOST_OF_MULTI = 1.6
"""The first check by id of a user with their organization, compared with one of the user alone."""


class RelatedKind(OwnKind):
    """With two joins. A loaded user has none of the related rows, so that the cache is asked."""

    name = "user"
    plan = Text("profile__plan")
    company = Text("profile__company__name")


class MemberKind(OwnKind):
    """With the organization."""

    name = "user"
    organization = Related("profile__company", kind="organization")


def fill_segments() -> None:
    """Twenty segments of users, which all three kinds have the attributes for."""
    Segment.objects.all().delete()
    clauses = [
        {"attribute": "email_domain", "op": "in", "values": ["acme.example"]},
        {"attribute": "account_age_days", "op": "lessThan", "values": [30]},
        {"attribute": "custom_plan", "op": "in", "values": ["plan-7"]},
        {"attribute": "custom_seats", "op": "greaterThan", "values": [50]},
        {"attribute": "is_staff", "op": "in", "values": [True]},
    ]
    for number in range(20):
        pair = [clauses[number % 5], clauses[(number + 1 + number // 5) % 5]]
        key = f"segment-{number}"
        Segment.objects.create(key=key, name=key, rules=[{"clauses": pair}])


class Measured:
    """One user, asked for in each way."""

    def __init__(self, folder: Path) -> None:
        self.sdk = default_client(folder)
        company = Company.objects.create(name="Acme", seats=70, founded="2000-01-01")
        made = Customer.objects.create(
            username="ada", email="ada@acme.example", metadata={"plan": "plan-7", "seats": 12}
        )
        Profile.objects.create(customer=made, plan="pro", company=company)
        self.user = Customer.objects.get(pk=made.pk)
        self.key = str(made.pk)

    def ways(self, name: str) -> dict[str, Figure]:
        """The first check by id and of the loaded row, and a later one, by the raw call on that context."""
        context = resolve(self.key).context

        def raw() -> object:
            return self.sdk.variation(KEY, context, False)

        def by_id() -> object:
            return evaluation.is_enabled(KEY, self.key)

        def loaded() -> object:
            return evaluation.is_enabled(KEY, self.user)

        timer = Timer(raw)
        found = timer.best(
            {
                f"{name}: first check by id": in_a_unit(by_id),
                f"{name}: first check, loaded user": in_a_unit(loaded),
            }
        )
        with unit_of_work():
            loaded()
            found |= timer.best({f"{name}: a later check": repeated(loaded)}, per=REPEATS)
        return found


def main(written: str) -> None:
    call_command("migrate", verbosity=0, run_syncdb=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "flags.json"
        file.write_text(json.dumps({"flags": {KEY: FLAG}}))
        own = {**settings.FEATUREFLAGS, "FLAG_FILE": str(file)}
        with override_settings(FEATUREFLAGS=own):
            found = measured(file)
    for name, figure in found.items():
        aim = f"   (at most {AIMS[name]:g})" if name in AIMS else ""
        print(f"{name:48} {figure.us:8.2f} µs {figure.ratio:7.2f} x raw{aim}")
    alone = found["own columns: first check by id"].us
    multi = found["multi-context: first check by id"].us
    print(
        f"a user with their organization, by id: {multi / alone:.2f} x alone (at most {MOST_OF_MULTI})"
    )
    if written:
        shown: dict[str, Any] = {name: asdict(each) for name, each in found.items()}
        Path(written).write_text(json.dumps(shown, indent=2) + "\n")


def measured(file: Path) -> dict[str, Figure]:
    kinds: dict[str, tuple[type[Kind], ...]] = {
        "own columns": (OwnKind,),
        "related fields": (RelatedKind,),
        "multi-context": (MemberKind, OrganizationKind),
    }
    with declared(OwnKind):
        fill_segments()
    here = Measured(file)
    found: dict[str, Figure] = {}
    for name, those in kinds.items():
        with declared(*those):
            found |= here.ways(name)
    return found


if __name__ == "__main__":
    main(sys.argv[1])
