"""Tasks of a project that has no Celery: each runs in the process that calls it.

@shared_task
def count() -> int: ...

count.delay()          # runs here and now
TASKS["module.count"]  # by the name that Celery would give it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any


class BrokerError(Exception):
    """Never raised: there is no broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a bound task may ask of its run."""

    is_eager: bool = True


class LocalTask:
    """A function with the part of Celery's Task that this app uses."""

    def __init__(self, function: Callable[..., Any], *, bind: bool) -> None:
        self.name = f"{function.__module__}.{function.__name__}"
        self.request = Request()
        self._function = partial(function, self) if bind else function
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def apply(
        self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **_options: Any
    ) -> Any:
        """Run it within what `around_each` has added. Raises what it raises."""
        with ExitStack() as stack:
            for opened in _AROUND:
                stack.enter_context(opened())
            return self(*args, **(kwargs or {}))

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        return self.apply(args, kwargs)


TASKS: dict[str, LocalTask] = {}
"""All tasks that were imported, by name."""

_AROUND: list[Callable[[], AbstractContextManager[object]]] = []


def around_each(opened: Callable[[], AbstractContextManager[object]]) -> None:
    """Each run of a task happens within this, from now on."""
    if opened not in _AROUND:
        _AROUND.append(opened)


def shared_task(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """As Celery's decorator, with or without options. Only `bind` means something here."""
    if function is None:
        return partial(shared_task, **options)
    task = LocalTask(function, bind=bool(options.get("bind")))
    TASKS[task.name] = task
    return task
