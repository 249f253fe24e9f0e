"""Managers of the segment tables: every write raises the ruleset version, and is part of a changeset,
which holds what was stored before.

Deletions raise it through Django's signals, see `featureflags.receivers`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from featureflags.core.conf import app_settings
from featureflags.core.uncached import fresh_rows
from featureflags.models.changesets import MemberState, Place, SegmentState, open_changeset
from featureflags.models.limits import TOO_MANY_MEMBERS
from featureflags.models.versions import RulesetVersion

ModelT = TypeVar("ModelT", bound=models.Model)

VALIDATED_ONE_BY_ONE = frozenset({"key", "kind", "rules", "tags"})

READ_AT_ONCE = 500
"""Memberships that one statement asks for by their user: databases limit its parameters."""


class SegmentQuerySet(models.QuerySet[ModelT]):
    def states(self) -> dict[int, SegmentState]:
        """The rows as they are in the database now, by id: one query."""
        same = (
            "key",
            "name",
            "description",
            "is_active",
            "rules",
            "version",
            "kind",
            "is_archived",
            "salt",
        )
        with fresh_rows():
            rows = list(self.order_by().values("pk", *same, "tags", "owner_id"))
        return {
            row["pk"]: SegmentState(
                **{name: row[name] for name in same},
                tags=tuple(row["tags"]),
                owner="" if row["owner_id"] is None else str(row["owner_id"]),
            )
            for row in rows
        }

    def fresh(self, key: str) -> ModelT | None:
        """The segment with this key as it is in the database now; None: there is none."""
        with fresh_rows():
            return self.filter(key=key).first()

    def tagged(self, tag: str) -> SegmentQuerySet[ModelT]:
        """The segments with this tag. A text in JSON is between quotes, and tags hold none."""
        return self.filter(tags__icontains=json.dumps(tag.strip().lower()))

    def update(self, **values: Any) -> int:
        """As Django's, with the ruleset version raised in the same transaction.

        Raises ValueError for `key`, `kind`, `rules` and `tags`, which only `save` validates.
        """
        forbidden = sorted(VALIDATED_ONE_BY_ONE & values.keys())
        if forbidden:
            raise ValueError(f"Save segments one by one to change {' and '.join(forbidden)}.")
        # The compiled rules of a segment are kept for as long as its version stays.
        values.setdefault("version", models.F("version") + 1)
        with open_changeset() as changeset, transaction.atomic(using=self.db):
            RulesetVersion.raise_version()
            for pk, state in self.states().items():
                changeset.remember_segment(pk, state)
            return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

    def bulk_create(self, objs: Iterable[ModelT], *_args: Any, **_options: Any) -> list[ModelT]:
        """Save each row, validated; all of them or, after a ValidationError, none."""
        rows = list(objs)
        with open_changeset(), transaction.atomic(using=self.db):
            for row in rows:
                row.save(using=self.db)
        return rows

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's, as one change."""
        with open_changeset():
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's marks: not for templates,
    delete.queryset_only = True  # type: ignore[attr-defined]  # and not on the manager


class MemberQuerySet(models.QuerySet[ModelT]):
    def states(self) -> dict[Place, MemberState]:
        """The rows as they are in the database now, by segment and user: one query."""
        columns = ("segment_id", "user_id", "key", "kind", "reason", "starts_at", "expires_at")
        with fresh_rows():
            rows = list(self.order_by().values_list(*columns))
        return {
            (segment, key or user): MemberState(
                kind=kind, reason=reason, starts_at=starts_at, expires_at=expires_at
            )
            for segment, user, key, kind, reason, starts_at, expires_at in rows
        }

    def states_at(self, places: Collection[Place]) -> dict[Place, MemberState | None]:
        """What is stored at each of these places; None where there is no membership."""
        found: dict[Place, MemberState | None] = dict.fromkeys(places)
        named: dict[int, list[Any]] = {}
        for segment, row in places:
            named.setdefault(segment, []).append(row)
        for segment, rows in named.items():
            for field, keys in _by_column(rows).items():
                for start in range(0, len(keys), READ_AT_ONCE):
                    some = {f"{field}__in": keys[start : start + READ_AT_ONCE]}
                    found |= self.filter(segment=segment, **some).states()
        return found

    def update(self, **values: Any) -> int:
        """As Django's, with the ruleset version raised in the same transaction."""
        with open_changeset() as changeset, transaction.atomic(using=self.db):
            RulesetVersion.raise_version()
            changeset.remember_members(self.states())
            keys = list(self.order_by().values_list("pk", flat=True))
            updated = super().update(**values)
            if {"segment", "segment_id", "user", "user_id", "key"} & values.keys():
                # A place that a membership has moved to was empty: a user is a member once.
                every: MemberQuerySet[ModelT] = MemberQuerySet(self.model, using=self.db)
                changeset.remember_members(dict.fromkeys(every.filter(pk__in=keys).states()))
            return updated

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

    def bulk_create(self, objs: Iterable[ModelT], *args: Any, **options: Any) -> list[ModelT]:
        """As Django's, validated. Raises ValidationError where a segment would hold too many."""
        rows = list(objs)
        for row in rows:
            row.clean_fields(exclude={"segment", "user"})
        with open_changeset() as changeset, transaction.atomic(using=self.db):
            RulesetVersion.raise_version()
            changeset.remember_members(self._before(rows))
            created = super().bulk_create(rows, *args, **options)
            self._refuse_too_many({row.serializable_value("segment") for row in rows})
        return created

    def bulk_update(self, objs: Iterable[ModelT], *args: Any, **options: Any) -> int:
        """As Django's, as one change."""
        with open_changeset():
            return super().bulk_update(objs, *args, **options)

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's, as one change, with the version raised once for all of them."""
        with open_changeset() as changeset, transaction.atomic(using=self.db):
            RulesetVersion.raise_version()
            before: Mapping[Place, MemberState] = self.states()
            changeset.remember_members(before)
            changeset.being_deleted |= before.keys()
            try:
                return super().delete()
            finally:
                changeset.being_deleted -= before.keys()

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's marks: not for templates,
    delete.queryset_only = True  # type: ignore[attr-defined]  # and not on the manager

    def _before(self, rows: Iterable[ModelT]) -> dict[Place, MemberState | None]:
        as_key = get_user_model()._meta.pk.to_python
        places = [
            (row.serializable_value("segment"), row.key or as_key(row.serializable_value("user")))  # type: ignore[attr-defined]  # a member
            for row in rows
        ]
        return MemberQuerySet(self.model, using=self.db).states_at(places)

    def _refuse_too_many(self, segments: set[int]) -> None:
        limit = app_settings().max_members
        members = self.model._default_manager.filter(segment__in=segments)
        counts = members.values("segment__key")
        crowded = (
            counts.order_by("segment__key").annotate(n=Count("pk")).filter(n__gt=limit).first()
        )
        if crowded is not None:
            raise ValidationError(
                _("The segment “%(key)s” would have %(n)d members; %(limit)d are allowed.")
                % {"key": crowded["segment__key"], "n": crowded["n"], "limit": limit},
                code=TOO_MANY_MEMBERS,
            )


def _by_column(rows: Iterable[Any]) -> dict[str, list[Any]]:
    """Primary keys of users, and keys of rows of other kinds, which are texts."""
    has_text_keys = get_user_model()._meta.pk.to_python(1) == "1"
    found: dict[str, list[Any]] = {"user": [], "key": []}
    for row in rows:
        if isinstance(row, str):
            found["key"].append(row)
        if has_text_keys or not isinstance(row, str):
            found["user"].append(row)
    return found
