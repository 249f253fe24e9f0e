"""The settings of the test run: the embedded default, or the servers that the variables name."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# A developer's .env must not decide what the tests see. Set before the first read.
os.environ["GUIDON_IGNORE_DOTENV"] = "1"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
# Each worker of a parallel run has a folder of its own, though it inherits the variables of the
# process that started it; a command that a test starts gets the folder of its test.
if os.environ.get("GUIDON_TEST_WORKER") != WORKER:
    os.environ["GUIDON_TEST_WORKER"] = WORKER
    _folder = tempfile.mkdtemp(prefix=f"guidon-test-{WORKER}-")
    _owner = os.getpid()
    os.environ["GUIDON_VAR_DIR"] = _folder

    @atexit.register
    def remove_folder() -> None:
        # A forked child may run its parent's exit handlers.
        if os.getpid() == _owner:
            shutil.rmtree(_folder, ignore_errors=True)


from config.settings.base import *  # noqa: E402 - after the environment is settled
from config.settings.base import (  # noqa: E402
    CACHES,
    DATABASES,
    FEATUREFLAGS,
    INSTALLED_APPS,
    REDIS_SENTINELS,
    REDIS_URL,
)
from config.settings.caches import redis_caches  # noqa: E402
from config.settings.environment import VAR_DIR  # noqa: E402

# Tests log in many times a second, without a request; what counts wrong passwords has tests of its own.
AXES_ENABLED = False
# Models of another project; it has no migrations.
INSTALLED_APPS = [*INSTALLED_APPS, "tests.customers"]
if "sqlite" not in DATABASES["default"]["ENGINE"]:
    # One of these models has an ArrayField, for which the newest Django asks for this app. Guidon needs none.
    INSTALLED_APPS.append("django.contrib.postgres")
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
FEATUREFLAGS = {
    **FEATUREFLAGS,
    "RAISE_INVALID_ATTRIBUTES": True,
    "SEND_EVENTS": False,
    # The metadata of the tests' people; what is withheld has tests of its own.
    "LAUNCHDARKLY_ATTRIBUTES": [
        "*",
        "custom_role",
        "custom_plan",
        "custom_country",
        "custom_segments",
    ],
    "SPARE_URL": "",
    # No test may depend on how fast the machine is.
    "IMPACT_SECONDS": 60.0,
    "FLAG_CHECK_DATABASE_SECONDS": 60.0,
    "FLAG_CHECK_REDIS_SECONDS": 60.0,
    "PAGE_DATABASE_SECONDS": 60.0,
    "PAGE_REDIS_SECONDS": 60.0,
    "ADMIN_DATABASE_SECONDS": 60.0,
    # What is tested about limits sets its own.
    "THROTTLE_KEY": 0,
    "THROTTLE_USER": 0,
    "THROTTLE_ADDRESS": 0,
    "START_WAIT": 10.0,
    "CLOSE_WAIT": 30.0,
    # A developer's shell may name a real project: no test may write to it.
    "SYNC_SEGMENTS": False,
    "API_TOKEN": "",
}
if REDIS_URL:
    CACHES = redis_caches(REDIS_URL, key_prefix=f"test-{WORKER}", sentinels=REDIS_SENTINELS)
if "sqlite" in DATABASES["default"]["ENGINE"]:
    # A file, not memory: tests with several processes share it.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(VAR_DIR) / "test.sqlite3")}
    # The data die with the run: nothing waits for the disk.
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    )
# A developer's shell may name another; what is about time zones sets its own.
TIME_ZONE = "UTC"
STATICFILES_DIRS: list[str] = []
LOGGING_CONFIG = None
