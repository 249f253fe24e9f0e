"""Managers of the segment tables: every write raises the ruleset version, whichever way it goes.

Deletions raise it through Django's signals, see `featureflags.receivers`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from featureflags.conf import app_settings
from featureflags.versions import RulesetVersion

ModelT = TypeVar("ModelT", bound=models.Model)

VALIDATED_ONE_BY_ONE = frozenset({"key", "rules"})


class RulesetQuerySet(models.QuerySet[ModelT]):
    """The queryset of models that the compiled rules are made from."""

    def update(self, **values: Any) -> int:
        """As Django's, with the ruleset version raised in the same transaction."""
        with transaction.atomic(using=self.db):
            RulesetVersion.raise_version()
            return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates


class SegmentQuerySet(RulesetQuerySet[ModelT]):
    def update(self, **values: Any) -> int:
        """As Django's. Raises ValueError for `key` and `rules`, which only `save` validates."""
        forbidden = sorted(VALIDATED_ONE_BY_ONE & values.keys())
        if forbidden:
            raise ValueError(f"Save segments one by one to change {' and '.join(forbidden)}.")
        # The compiled rules of a segment are kept for as long as its version stays.
        values.setdefault("version", models.F("version") + 1)
        return super().update(**values)

    def bulk_create(self, objs: Iterable[ModelT], *_args: Any, **_options: Any) -> list[ModelT]:
        """Save each row, validated; all of them or, after a ValidationError, none."""
        rows = list(objs)
        with transaction.atomic(using=self.db):
            for row in rows:
                row.save(using=self.db)
        return rows


class MemberQuerySet(RulesetQuerySet[ModelT]):
    def bulk_create(self, objs: Iterable[ModelT], *args: Any, **options: Any) -> list[ModelT]:
        """As Django's, validated. Raises ValidationError where a segment would hold too many."""
        rows = list(objs)
        for row in rows:
            row.clean_fields(exclude={"segment", "user"})
        with transaction.atomic(using=self.db):
            RulesetVersion.raise_version()
            created = super().bulk_create(rows, *args, **options)
            self._refuse_too_many({row.serializable_value("segment") for row in rows})
        return created

    def _refuse_too_many(self, segments: set[int]) -> None:
        limit = app_settings().max_members
        members = self.model._default_manager.filter(segment__in=segments)  # noqa: SLF001 - Django's way
        counts = members.values("segment__key")
        crowded = (
            counts.order_by("segment__key").annotate(n=Count("pk")).filter(n__gt=limit).first()
        )
        if crowded is not None:
            raise ValidationError(
                _("The segment “%(key)s” would have %(n)d members; %(limit)d are allowed.")
                % {"key": crowded["segment__key"], "n": crowded["n"], "limit": limit}
            )
