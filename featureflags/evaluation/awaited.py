"""`resolve` for the event loop: what needs no server is answered there, the rest in a thread.

A thread costs more than a whole check. So the unit's memo is asked on the loop; and a read of the
cache is sent there and awaited, if its connection is made and free. If the reply is all that the
context needs, no thread is used. Everything else (the database, the first connection, the first check
of a process) goes to Django's thread.
"""

from __future__ import annotations

from collections.abc import Callable

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest

from featureflags.cache.compiled_rules import is_in_force
from featureflags.cache.pending_reads import aget, connect, lacks_connection, nothing
from featureflags.contexts.subject_context import SubjectContext
from featureflags.evaluation.arguments import Subject, is_several
from featureflags.evaluation.resolve import (
    is_enough,
    look_up,
    make,
    may_be_related,
    resolve,
    rows_to_read,
    several,
)
from featureflags.launchdarkly import evaluator
from featureflags.launchdarkly.client import current_clients


async def aresolve(
    subject: Subject, request: HttpRequest | None, anonymous_key: str | None
) -> SubjectContext:
    """As `resolve`."""
    if is_several(subject):
        return several([await aresolve(each, request, anonymous_key) for each in subject])
    if current_clients(start=False) is not None:
        try:
            found = look_up(subject, request, anonymous_key)
            if type(found) is SubjectContext:
                return found
            rows = rows_to_read(found)  # type: ignore[arg-type]  # the rest
            if rows is None and not may_be_related(found):  # type: ignore[arg-type]  # the rest
                return make(found)  # type: ignore[arg-type]  # the rest
            read = await aget(rows or ())
            if read is not None and is_in_force(read) and is_enough(found, read):  # type: ignore[arg-type]
                # The rules in force are compiled, and nobody is missing: the cache was enough.
                return make(found, read)  # type: ignore[arg-type]  # the rest
        except SynchronousOnlyOperation:
            pass  # Django refuses the database on the loop: the user is not loaded, or not whole.
    context, keep_connection = await _in_thread(
        subject, request, anonymous_key, connects=lacks_connection()
    )
    keep_connection()
    return context


@sync_to_async
def _in_thread(
    subject: Subject, request: HttpRequest | None, anonymous_key: str | None, *, connects: bool
) -> tuple[SubjectContext, Callable[[], None]]:
    """The steps that may wait: for LaunchDarkly at the first check, for the database at each."""
    evaluator.connect()
    context = resolve(subject, request=request, anonymous_key=anonymous_key)
    return context, connect() if connects else nothing
