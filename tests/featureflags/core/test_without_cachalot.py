"""featureflags runs where django-cachalot is not installed."""

from __future__ import annotations

from pathlib import Path

from tests.services.processes import run_python

PROGRAM = """
import sys
sys.modules["cachalot"] = None  # Python's way to make an import of it fail

from config.settings import testing
testing.INSTALLED_APPS.remove("cachalot")

import django
django.setup()
from django.core.management import call_command
from featureflags.models import Segment
from featureflags.evaluation import variation_detail
from featureflags.testing import override_flag
from users.models import User

call_command("migrate", verbosity=0)
clause = {"attribute": "email", "op": "endsWith", "values": ["@example.com"]}
Segment.objects.create(key="people", name="People", rules=[{"clauses": [clause]}])
user = User.objects.create_user("ada@example.com", role="admin")
print(variation_detail("beta", user, default="blue").value)
with override_flag("beta", "green"):
    print(variation_detail("beta", user, default="blue").value)
print(list(User.objects.in_segment("people").values_list("email", flat=True)))
call_command("check", fail_level="WARNING")
"""


def test_a_flag_is_evaluated_and_segments_are_matched(tmp_path: Path) -> None:
    env = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "GUIDON_VAR_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        "LAUNCHDARKLY_SOURCE": "offline",
    }

    done = run_python(env, "-c", PROGRAM)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == ["blue", "green", "['ada@example.com']"]
