"""Programs that tests start as processes of their own, to fork, to serve and to end.

Importing a probe sets Django up from the environment. `loading` puts the process under evaluation
load: a fork then happens while other threads hold whatever locks there are.
"""

from __future__ import annotations

import threading

import django
from ldclient import Context

django.setup()

from featureflags.launchdarkly.client import client  # noqa: E402 - after Django is set up
from featureflags.monitoring import counts  # noqa: E402
from featureflags.overrides import override_flag  # noqa: E402

LOAD_THREADS = 4
LOADER = Context.builder("loader").set("segments", ["user"]).build()


def value(key: str, who: str = "ada") -> object:
    return client().variation(key, Context.create(who), None)


def loading() -> None:
    """Evaluate in threads until the process ends. A forked child has none of them."""

    def evaluate() -> None:
        while True:
            client().variation("counter", LOADER, None)
            client().all_flags_state(LOADER)
            with override_flag("other", 1, process_wide=True):
                counts()

    for _ in range(LOAD_THREADS):
        threading.Thread(target=evaluate, daemon=True).start()
