"""The percentages on a PostgreSQL with the extension `pgcrypto`, which the one of the tests has not."""

from __future__ import annotations

import sys

import pytest

from tests.featureflags.audience.sql import test_percentages
from tests.services.postgres import CHOSEN, find_install_with
from tests.services.processes import run_python


@pytest.mark.production_stack
def test_all_of_them_hold_there() -> None:
    install = find_install_with("pgcrypto")
    if install is None:
        pytest.skip("no PostgreSQL with pgcrypto (Debian: apt-get install postgresql)")
    env = {
        CHOSEN: str(install),
        test_percentages.WITH_SHA_1: "1",
        **dict.fromkeys(("DATABASE_URL", "REDIS_URL", "PYTEST_XDIST_WORKER")),
    }
    tests = (sys.executable, "-m", "pytest", "-q", str(test_percentages.__file__))
    ended = run_python(env, "-m", "tests.services.stack", "--", *tests)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "5 passed" in ended.stdout, ended.stdout
