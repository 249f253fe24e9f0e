"""What Prometheus reads: of one process, of several, and what the dashboard and the alerts ask for.

The instruments of a process are never emptied: each test compares growth, or has names that no other test uses.
"""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import OperationalError, connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from featureflags import metrics
from featureflags.cache import counters
from featureflags.core import monitoring, outages, timings
from featureflags.evaluation import is_enabled
from featureflags.metrics import families
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.services.launchdarkly import boolean_flag
from tests.services.processes import ROOT, on_this_database, run_python
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

FILES = sorted((ROOT / "deploy/monitoring").iterdir())
NAME = re.compile(r"\bguidon_[a-z_]+")


@pytest.fixture(autouse=True)
def counted_from_now(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "METRICS_TOKEN": "right"}
    # The totals have begun anew with this test. No earlier publication may still write them down.
    for thread in threading.enumerate():
        if thread.name == "metrics":
            thread.join()
    metrics.begin_anew()
    metrics.page()


def read() -> dict[tuple[str, tuple[str, ...]], float]:
    """Sample by name and values of its labels."""
    response = Client().get("/metrics", headers={"Authorization": "Bearer right"})
    assert response.status_code == 200
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


class Growth:
    """How much each sample has grown since the instance was made."""

    def __init__(self) -> None:
        self.before = read()

    def of(self, name: str, *labels: str) -> float:
        return read().get((name, labels), 0) - self.before.get((name, labels), 0)


def test_evaluations_by_flag_and_result(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("new-checkout", fallthrough=True))
    growth, user = Growth(), UserFactory.create()
    for _ in range(3):
        is_enabled("new-checkout", user)
    is_enabled("internal-tools", str(user.pk))
    assert growth.of("guidon_evaluations_total", "new-checkout", "value") == 3
    assert growth.of("guidon_evaluations_total", "internal-tools", "degraded") == 1
    assert growth.of("guidon_degraded_total", "flag_not_found") == 1
    assert growth.of("guidon_lookups_total", "database") == 1
    assert growth.of("guidon_context_seconds_count", "loaded") == 3
    assert growth.of("guidon_context_seconds_count", "database") == 1


def test_totals_that_begin_anew_are_counted_on(flag_file: FlagFile) -> None:
    """As in a forked child."""
    flag_file(boolean_flag("new-checkout", fallthrough=True))
    growth, user = Growth(), UserFactory.create()
    for _ in range(3):
        is_enabled("new-checkout", user)
        metrics.publish()
        counters.forget()
        metrics.begin_anew()
    assert growth.of("guidon_evaluations_total", "new-checkout", "value") == 3


def test_a_flag_that_a_visitor_made_up_never_becomes_a_label(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("new-checkout"))
    is_enabled("typed-by-a-visitor", UserFactory.create())
    assert "typed-by-a-visitor" not in metrics.page().decode()


def test_outages_of_a_server() -> None:
    growth, server = Growth(), outages.Server("Counted here")
    server.missed(0.1)
    assert not server.may_ask()
    assert growth.of("guidon_server_silent", "counted here") == 1
    server.answered()
    assert growth.of("guidon_server_silent", "counted here") == 0
    assert growth.of("guidon_server_failures_total", "counted here", "missed") == 1
    assert growth.of("guidon_server_failures_total", "counted here", "refused") == 1
    assert growth.of("guidon_server_outages_total", "counted here") == 1


def test_writes_by_way_and_compilations() -> None:
    growth, user = Growth(), UserFactory.create()
    User.objects.filter(pk=user.pk).update(name="Another")
    SegmentFactory.create(key="fresh")
    is_enabled("new-checkout", user)
    assert growth.of("guidon_invalidations_total", "own_write") >= 1
    assert growth.of("guidon_compile_seconds_count") >= 1


def test_the_figures_of_a_database_that_is_away_stay(flag_file: FlagFile) -> None:
    def fail(*_args: Any) -> None:
        raise OperationalError

    before = read()
    assert before["guidon_database_figures", ()] == 1
    with connection.execute_wrapper(fail):
        after = read()
    assert after["guidon_database_figures", ()] == 0
    assert after["guidon_outbox_rows", ()] == before["guidon_outbox_rows", ()]


def test_events_have_bounded_names() -> None:
    for n in range(100):
        monitoring.count(f"of_many_names:{n}")
    names = [labels[0] for name, labels in read() if name == "guidon_events_total"]
    assert len([each for each in names if each.startswith("of_many_names:")]) == 51


def test_waiting_timings_are_bounded() -> None:
    for _ in range(timings.MOST + 10):
        timings.contexts.append(("loaded", 0.001))
    assert len(timings.contexts) == timings.MOST
    metrics.publish()
    assert not timings.contexts


PROGRAM = """
import django; django.setup()
from featureflags import metrics
from featureflags.evaluation import is_enabled
for _ in range({times}): is_enabled("new-checkout", None)
print(metrics.page().decode())
"""


def test_several_processes_answer_for_each_other(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    environment = {
        **on_this_database(),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "figures"),
        "LAUNCHDARKLY_SOURCE": "offline",
    }
    run = [run_python(environment, "-c", PROGRAM.format(times=times)) for times in (2, 3)]
    assert [ended.returncode for ended in run] == [0, 0], run[-1].stderr
    line = r'guidon_evaluations_total\{flag="new-checkout",result="degraded"\} (\S+)'
    found = re.findall(line, run[-1].stdout)
    assert [float(each) for each in found] == [5.0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_dashboard_and_alerts_ask_for_what_there_is(path: Path) -> None:
    asked = set(NAME.findall(path.read_text()))
    assert asked
    assert asked <= set(families())


def test_the_dashboard_shows_every_metric() -> None:
    text = (ROOT / "deploy/monitoring/dashboard.json").read_text()
    shown = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in NAME.findall(text)}
    assert shown == {family.name for family in metrics.registry.collect()}
    panels = json.loads(text)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert all(
            target["expr"].count("(") == target["expr"].count(")") for target in panel["targets"]
        )


def test_each_alert_says_what_it_means_and_where_to_read_on() -> None:
    rules = yaml.safe_load((ROOT / "deploy/monitoring/alerts.yaml").read_text())["groups"][0][
        "rules"
    ]
    for rule in rules:
        page, anchor = rule["annotations"]["runbook"].split("#")
        assert rule["annotations"]["summary"]
        assert f"{{#{anchor}}}" in (ROOT / page).read_text(), anchor
