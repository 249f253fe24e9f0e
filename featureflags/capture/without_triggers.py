"""For an application that may create no triggers (`FEATUREFLAGS["TRIGGERS"] = False`).

Django's signals then say what `save`, `delete` and many-to-many relations change. They say nothing of
`QuerySet.update`, `bulk_update`, `bulk_create`, raw SQL and other programs: after those call
`touched`, or `manage.py invalidate_contexts`.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from typing import Any

from django.db import connections, router
from django.db.models import Field, ForeignKey, Model
from django.db.models.signals import m2m_changed, post_save, pre_delete

from featureflags.capture import listeners
from featureflags.capture.watches import Watch, declared_watches
from featureflags.models import OutboxEvent

UID = "featureflags.capture.without_triggers"


def touched(kind: str, keys: Collection[str] | None) -> None:
    """These rows were written where no trigger notices it; `keys` None: any of that kind.

    Call it in the transaction of the write, or after its commit. The cache is notified after the commit,
    at once outside of a transaction; should that fail, within 5 seconds of its return. One query
    for the row of the outbox. Raises DatabaseError.
    """
    using = router.db_for_write(OutboxEvent)
    kept = None if keys is None else list(keys)
    row = OutboxEvent.objects.using(using).create(kind=kind, keys=kept)
    listeners.note(using, kind, kept, [row.pk])


def connect() -> None:
    """Listen to Django's signals."""
    post_save.connect(_saved, dispatch_uid=UID)
    pre_delete.connect(_deleted, dispatch_uid=UID)
    m2m_changed.connect(_linked, dispatch_uid=UID)


def disconnect() -> None:
    """Listen no more; for tests."""
    post_save.disconnect(dispatch_uid=UID)
    pre_delete.disconnect(dispatch_uid=UID)
    m2m_changed.disconnect(dispatch_uid=UID)


def _saved(sender: type[Model], instance: Model, created: bool, **_: Any) -> None:
    for watch in _watches_of(sender):
        if not (created and watch.is_own):
            _tell(watch, [_value(instance, watch.start)])


def _deleted(sender: type[Model], instance: Model, **_: Any) -> None:
    for watch in _watches_of(sender):
        _tell(watch, [_value(instance, watch.start)])


def _linked(
    sender: type[Model], instance: Model, action: str, pk_set: set[Any] | None, **_: Any
) -> None:
    if action not in {"post_add", "post_remove", "pre_clear"}:
        return
    for watch in _watches_of(sender):
        link = _field(sender, watch.start)
        owner = link.related_model
        if isinstance(link, ForeignKey) and owner is not None and isinstance(instance, owner):
            _tell(watch, [getattr(instance, link.target_field.attname)])
        elif pk_set is not None:
            _tell(watch, pk_set)
        else:
            links = sender._default_manager.filter(**{watch.columns[0]: instance.pk})
            _tell(watch, links.values_list(watch.start, flat=True))


def _watches_of(model: type[Model]) -> list[Watch]:
    """Of its table, and of its parents': a save of a child signals nothing of them."""
    tables = {each._meta.db_table for each in (model, *model._meta.all_parents)}
    return [watch for watch in declared_watches() if watch.table in tables]


def _tell(watch: Watch, values: Iterable[Any]) -> None:
    """Follow the path from these values to the keys."""
    using = router.db_for_write(OutboxEvent)
    found = [value for value in values if value is not None]
    names = connections[using].ops.quote_name
    for hop in watch.path:
        if not found:
            return
        places = ", ".join(["%s"] * len(found))
        with connections[using].cursor() as cursor:
            cursor.execute(
                f"SELECT DISTINCT {names(hop.take)} FROM {names(hop.table)}"
                f" WHERE {names(hop.match)} IN ({places})",
                found,
            )
            found = [value for (value,) in cursor.fetchall()]
    keys = [str(uuid.UUID(str(value))) if watch.is_uuid else str(value) for value in found]
    if keys:
        touched(watch.kind, keys)


def _field(model: type[Model], column: str) -> Field[Any, Any]:
    fields = model._meta.concrete_fields
    return next(field for field in fields if field.column == column)


def _value(instance: Model, column: str) -> Any:
    return getattr(instance, _field(type(instance), column).attname)
