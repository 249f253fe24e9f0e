"""A check that says no to gevent and eventlet, which put greenlets in the place of threads."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

from django.core.checks import CheckMessage, Error, register

logger = logging.getLogger(__name__)

ID: Final = "featureflags.E044"
LIBRARIES: Final = ("gevent", "eventlet")
TEXT: Final = (
    "%s has replaced Python's threads. LaunchDarkly's client, the deadlines of PostgreSQL and the units "
    "of work are not tested with it."
)
HINT: Final = "Use gunicorn's gthread workers, an ASGI server, or Celery's prefork pool."


@register("featureflags")
def check_greenlets(**_: Any) -> list[CheckMessage]:
    """E044: the process runs greenlets in the place of threads."""
    return [Error(TEXT % name, hint=HINT, id=ID) for name in _patching()]


def log_greenlets() -> None:
    """The same as a line of the log, when the apps are ready: servers and workers run no checks."""
    for name in _patching():
        logger.error("%s %s (%s)", TEXT % name, HINT, ID)


def _patching() -> list[str]:
    """The libraries that have replaced threads. Neither is imported."""
    found = []
    for name in LIBRARIES:
        module = sys.modules.get(f"{name}.monkey") or sys.modules.get(f"{name}.patcher")
        ask = getattr(module, "is_module_patched", None) or getattr(
            module, "is_monkey_patched", None
        )
        if ask is not None and ask("threading" if name == "gevent" else "thread"):
            found.append(name)
    return found
