"""Locks of Django and of Redis' client, which threads of a process take while it forks."""

from __future__ import annotations

from pathlib import Path

from tests.services.processes import run_python
from tests.services.redis import redis_server

FORKS = 6
"""Without care nearly each of them hangs."""
PROGRAM = """
import os, signal, sys, threading, django
django.setup()
from cachalot.api import LOCAL_STORAGE
from django.core.cache import caches
from django.urls import base
from django.utils import timezone
from django.utils.translation import trans_real
from featureflags.evaluation import variation_detail

pool = caches["default"].client.get_client().connection_pool
holders = [caches._connections, LOCAL_STORAGE, base._prefixes, base._urlconfs,
    timezone._active, trans_real._active, pool]
assert all(holder.__dict__["_lock"] for holder in holders), "what this is about has moved"
variation_detail("beta", "somebody")

def take(holder):
    while True:
        with holder.__dict__["_lock"]:
            sum(range(2_000))

for holder in holders:
    threading.Thread(target=take, args=[holder], daemon=True).start()
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        for holder in holders:
            assert holder.__dict__["_lock"].acquire()
        signal.alarm(0)
        print(caches["default"].get("x"), variation_detail("beta", "somebody").source, flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
os._exit(0)
"""


def test_a_child_finds_every_lock_free(tmp_path: Path) -> None:
    """Each of them is taken nearly all the time. The evaluation has no database: a bare key."""
    with redis_server() as redis:
        environment = {
            "DATABASE_URL": None,
            "REDIS_URL": redis.url,
            "CELERY_BROKER_URL": None,
            "GUIDON_IGNORE_DOTENV": "1",
            "GUIDON_VAR_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
            "LAUNCHDARKLY_SOURCE": "offline",
            "LOG_LEVEL": "CRITICAL",
        }
        done = run_python(environment, "-c", PROGRAM, str(FORKS), timeout=60 + 21 * FORKS)
    assert done.stdout.splitlines() == ["None bare"] * FORKS, done.stderr
