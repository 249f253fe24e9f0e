"""What `limits` runs once it has a database: it fills the users, and measures."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from rest_framework.test import APIClient

from featureflags.models import Scope, Segment
from featureflags.segments.parsing import parse_definition
from tests.benchmarks.filling import fill
from tests.factories import UserFactory, clause, rule, staff_with, token_for
from users.models import User

RULES, CLAUSES = 200, 20
RUNS: Final = 3
URL: Final = "/api/v1/segments/"
AIM: Final = 0.5
"""Seconds of the processor for building the query."""


def rules_of(word: str) -> list[dict[str, Any]]:
    """200 rules of 20 conditions of several sorts, all different."""
    sorts: list[Callable[[int], dict[str, Any]]] = [
        lambda n: clause(f"custom_{word}{n}", "in", "x", n),
        lambda n: clause("email", "startsWith", f"{word}{n}."),
        lambda n: clause("account_age_days", "greaterThan", n),
        lambda n: clause("name", "contains", f"{word}{n}", negate=True),
    ]
    return [
        rule(*(sorts[n % 4](n) for n in range(first, first + CLAUSES)))
        for first in range(0, RULES * CLAUSES, CLAUSES)
    ]


def build_query() -> None:
    definition = parse_definition({"key": "large", "rules": rules_of("built")})
    assert len(User.objects.in_segment(definition).query.sql_with_params()[0]) > RULES * CLAUSES


def preview_of(viewer: APIClient) -> Callable[[], None]:
    def preview() -> None:
        answer = viewer.post(f"{URL}large/preview/", {"rules": rules_of("seen")}, format="json")
        assert answer.status_code == 200, answer.content

    return preview


def save_of(editor: APIClient) -> Callable[[], None]:
    words = iter(f"saved{number}x" for number in range(100))

    def save() -> None:
        # Another segment each time, so that before and after are 8,000 conditions.
        body = {"rules": rules_of(next(words)), "confirm": True}
        answer = editor.patch(f"{URL}large/", body, format="json")
        assert answer.status_code == 200, answer.content

    return save


def measured(step: Callable[[], None]) -> dict[str, float]:
    """The best seconds, of the processor and in all."""
    processor, wall = float("inf"), float("inf")
    for _ in range(RUNS):
        began, used = time.perf_counter(), time.process_time()
        step()
        processor = min(processor, time.process_time() - used)
        wall = min(wall, time.perf_counter() - began)
    return {"processor": processor, "wall": wall}


def client_of(token: str) -> APIClient:
    return APIClient(SERVER_NAME="127.0.0.1", headers={"authorization": f"Bearer {token}"})


def main(users: int, file: str) -> None:
    fill(users)
    Segment.objects.create(key="large", name="Large", rules=rules_of("first"))
    viewer = client_of(token_for(staff_with("view_segment"), Scope.READ))
    editor = client_of(token_for(UserFactory.create(superuser=True)))
    steps = {
        "building the query": build_query,
        "a viewer's preview": preview_of(viewer),
        "a save": save_of(editor),
    }
    print(f"{RULES * CLAUSES:,} conditions in {RULES} rules, {users:,} users")
    print(f"{'':<22}{'processor':>11}{'in all':>10}")
    figures = {name: measured(step) for name, step in steps.items()}
    for name, found in figures.items():
        print(f"{name:<22}{found['processor']:>9.2f} s{found['wall']:>8.2f} s")
    print(f"aim: building the query takes less than {AIM} s of the processor")
    if file:
        Path(file).write_text(json.dumps({"users": users, "seconds": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
