"""Programs that tests start as processes of their own, to fork, to serve and to end.

Importing a probe sets Django up from the environment. `loading` puts the process under evaluation
load: a fork then happens while other threads hold whatever locks there are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import django
from ldclient import Context

django.setup()

from featureflags.core.monitoring import counts  # noqa: E402
from featureflags.evaluation import variation  # noqa: E402 - after Django is set up
from featureflags.flags.overrides import override_flag  # noqa: E402
from featureflags.launchdarkly.client import client  # noqa: E402

LOAD_THREADS = 4
LOADER = Context.builder("loader").set("segments", ["user"]).build()


def value(key: str, who: str = "ada") -> object:
    return client().variation(key, Context.create(who), None)


def facade_value(key: str) -> object:
    """What a page of the project gets, for a visitor."""
    return variation(key, anonymous_key="visitor")


def loading(*more: Callable[[], object]) -> None:
    """Evaluate in threads, and call `more`, until the process ends. A forked child has none."""

    def evaluate() -> None:
        while True:
            client().variation("counter", LOADER, None)
            client().all_flags_state(LOADER)
            with override_flag("other", 1, process_wide=True):
                counts()
            for each in more:
                each()

    for _ in range(LOAD_THREADS):
        threading.Thread(target=evaluate, daemon=True).start()
