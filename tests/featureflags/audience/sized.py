"""Segments whose sizes are counted."""

from __future__ import annotations

from featureflags.models import SegmentSize
from tests.factories import UserFactory, clause, rule

GERMANS = [rule(clause("custom_country", "in", "DE"))]


def size(key: str) -> int | None:
    found = SegmentSize.objects.filter(segment__key=key).first()
    return None if found is None else found.at_least


def german(**fields: object) -> None:
    UserFactory.create(metadata={"country": "DE"}, **fields)
