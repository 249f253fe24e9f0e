"""Ways of writing past the models."""

from __future__ import annotations

from typing import Any

from django.core import serializers
from django.db import connection


def execute(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)


def load(*objects: Any) -> None:
    """As `loaddata` does: raw saves."""
    for found in serializers.deserialize("json", serializers.serialize("json", objects)):
        found.save()
