"""What a benchmark of checks measures: segments, users, and clients of the SDK.

Import it after `django.setup()`.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from ldclient import Config, LDClient
from ldclient.feature_store import InMemoryFeatureStore
from ldclient.integrations import Files

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment
from tests.benchmarks.matching import general
from tests.benchmarks.timing import Step
from users.models import User

KEY = "benchmark"


def fill_segments(count: int) -> None:
    """That many segments: `employee`, which the flag asks for, and some of every kind."""
    Segment.objects.all().delete()
    domain = {"attribute": "email_domain", "op": "in", "values": ["agpt.co"]}
    Segment.objects.create(key="employee", name="employee", rules=[{"clauses": [domain]}])
    chance = random.Random(count)
    names = {"plan": "custom_plan", "country": "custom_country", "seats": "custom_seats"}
    for number in range(count - 1):
        clauses = [
            {
                "attribute": names.get(each.attribute, each.attribute),
                "op": each.op,
                "values": list(each.values),
            }
            for each in general(number, chance)
        ]
        Segment.objects.create(
            key=f"segment-{number}", name=f"{number}", rules=[{"clauses": clauses}]
        )


def new_user(number: int) -> User:
    user = User.objects.create_user(
        f"ada.{number}@agpt.co",
        name="Ada Lovelace",
        email_verified=True,
        metadata={"plan": "plan-7", "country": "country-3", "seats": 12, "locale": "en-GB"},
    )
    user.groups.add(Group.objects.get_or_create(name="staff")[0])
    found: User | None = user_kind().find(str(user.pk))
    assert found is not None
    return found


def default_client(flag_file: Path) -> LDClient:
    """The SDK as it comes: its own store, the same flags, no events."""
    source = Files.new_data_source(paths=[str(flag_file)])
    return LDClient(
        Config(
            "sdk-key",
            feature_store=InMemoryFeatureStore(),
            update_processor_class=source,
            send_events=False,
        )
    )


def in_a_unit(check: Step) -> Step:
    def work() -> None:
        with unit_of_work():
            check()

    return work


def object_rule(segment: str) -> dict[str, Any]:
    """A rule that is true of those whose object `segment` has this key."""
    clause = {"attribute": f"/segment/{segment}", "op": "in", "values": [True]}
    return {"variation": 1, "id": segment, "clauses": [{**clause, "contextKind": "user"}]}
