"""How many users get each value of a flag: by the real SDK, no user twice, also after a kill."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from featureflags.audience import day_sample
from featureflags.evaluation import is_enabled, override_flag
from featureflags.inspection import variation_counts
from featureflags.inspection.outcomes import Outcome, outcomes
from featureflags.inspection.variation_counts import abandoned, begin, cancel, count_sample, work
from featureflags.launchdarkly.client import close
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.inspection.counting import State, counted, outcomes_of
from tests.services.flag_json import boolean_flag, prerequisite, rollout, segment_rule, string_flag
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User


@pytest.mark.django_db
@pytest.mark.usefixtures("small_batches")
class TestEverybody:
    def test_by_value_and_way(self, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta", rules=[segment_rule("admin"), segment_rule("employee")]))
        UserFactory.create_batch(4)
        UserFactory.create_batch(2, employee=True)
        UserFactory.create(role="admin")
        count = counted("beta")
        assert outcomes_of(count) == {
            (False, "FALLTHROUGH", None): 4,
            (True, "RULE_MATCH", 2): 2,
            (True, "RULE_MATCH", 1): 1,
        }
        assert (count.state, count.users_counted, count.users_planned) == (State.DONE, 7, 7)
        assert not count.is_sample
        assert count.finished_at is not None
        assert [each.users for each in outcomes(count.tally)] == [4, 2, 1]

    def test_it_counts_what_the_sdk_answers_for_each_user(self, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta", fallthrough=rollout(30_000, 70_000)))
        users = UserFactory.create_batch(20)
        expected = sum(is_enabled("beta", user) for user in users)
        found = outcomes_of(counted("beta"))
        assert found.get((True, "FALLTHROUGH", None), 0) == expected
        assert sum(found.values()) == 20

    def test_every_kind_of_reason(self, flag_file: FlagFile) -> None:
        user = UserFactory.create()
        flag_file(
            boolean_flag("off", on=False),
            {**boolean_flag("target"), "targets": [{"values": [str(user.pk)], "variation": 0}]},
            boolean_flag("needs", prerequisites=[prerequisite("off", 1)]),
            string_flag("colour", ("red", "blue")),
        )
        assert outcomes_of(counted("off")) == {(False, "OFF", None): 1}
        assert outcomes_of(counted("target")) == {(True, "TARGET_MATCH", None): 1}
        assert outcomes_of(counted("needs")) == {(False, "PREREQUISITE_FAILED", None): 1}
        assert outcomes_of(counted("colour")) == {("red", "FALLTHROUGH", None): 1}
        assert outcomes_of(counted("welcome-tour")) == {(False, "ERROR:FLAG_NOT_FOUND", None): 1}
        with override_flag("colour", "green"):
            assert outcomes_of(counted("colour")) == {("green", "OVERRIDE", None): 1}

    def test_true_and_1_are_two_values(self) -> None:
        one, true = (
            Outcome(variation=None, value=value, reason="FORCED", rule=None, users=1)
            for value in (1, True)
        )
        assert one.what != true.what

    def test_nobody(self, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta"))
        count = counted("beta")
        assert (count.state, count.users_counted, count.tally) == (State.DONE, 0, [])

    def test_a_batch_that_is_just_full_is_not_the_last(self, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta"))
        UserFactory.create_batch(6)
        assert counted("beta").users_counted == 6

    def test_it_stops_when_its_time_is_up_and_goes_on_where_it_was(
        self, flag_file: FlagFile
    ) -> None:
        flag_file(boolean_flag("beta"))
        UserFactory.create_batch(7)
        count = begin("beta")
        work(count.pk, seconds=0.0)
        count.refresh_from_db()
        assert (count.state, count.users_counted) == (State.RUNNING, 3)
        assert abandoned() == [count.pk]
        work(count.pk)
        assert outcomes_of(count) == {(False, "FALLTHROUGH", None): 7}
        assert (count.state, abandoned()) == (State.DONE, [])

    def test_a_change_meanwhile_is_said(self, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta"))
        UserFactory.create_batch(7)
        count = begin("beta")
        work(count.pk, seconds=0.0)
        SegmentFactory.create(key="new", rules=[rule(clause("role", "in", "user"))])
        work(count.pk)
        count.refresh_from_db()
        assert count.has_changed
        assert not counted("beta").has_changed

    def test_who_cancels_is_heard(self, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta"))
        UserFactory.create_batch(7)
        count = begin("beta")
        work(count.pk, seconds=0.0)
        assert cancel(count.pk)
        work(count.pk)
        count.refresh_from_db()
        assert (count.state, count.users_counted) == (State.CANCELLED, 3)
        assert not cancel(count.pk)

    def test_without_flags_it_fails_honestly(self, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAG_FILE": "/nowhere.json"}
        count = counted("beta")
        assert (count.state, count.error) == (
            State.FAILED,
            "LaunchDarkly has not sent any flags.",
        )

    def test_an_error_is_stored_by_its_type_alone(
        self, flag_file: FlagFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flag_file(boolean_flag("beta"))

        def fail(*_args: object) -> None:
            raise ValueError("ada@agpt.co")

        monkeypatch.setattr(variation_counts, "evaluate_one", fail)
        UserFactory.create()
        count = counted("beta")
        assert (count.state, count.error) == (State.FAILED, "ValueError")


@pytest.mark.django_db
class TestSample:
    def test_a_few_users_are_all_counted(self, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta"))
        UserFactory.create_batch(5)
        count = count_sample("beta")
        assert (count.is_sample, count.users_counted, count.state) == (False, 5, State.DONE)

    def test_of_many_those_of_the_sample_of_the_day(
        self, flag_file: FlagFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(variation_counts, "SAMPLE", 12)
        monkeypatch.setattr(day_sample, "SIZES", (12, 0, 0))
        flag_file(boolean_flag("beta"))
        UserFactory.create_batch(30)
        users, is_sample = variation_counts._sample()
        assert is_sample
        assert users is not None
        keys = [user.key for user in users]
        assert keys == sorted(set(keys))
        assert len(keys) == 12
        count = count_sample("beta")
        assert (count.is_sample, count.users_planned, count.users_counted) == (True, 12, 12)
        # What was deleted since is not counted, and not planned either.
        User.objects.filter(pk=keys[0]).delete()
        count = count_sample("beta")
        assert (count.users_planned, count.users_counted) == (11, 11)

    def test_no_time_to_draw_one(
        self, flag_file: FlagFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(variation_counts, "SAMPLE", 2)
        monkeypatch.setattr(variation_counts, "day_sample", lambda *_, **__: None)
        flag_file(boolean_flag("beta"))
        UserFactory.create_batch(5)
        count = count_sample("beta")
        assert (count.state, count.users_counted) == (State.FAILED, 0)
        assert count.error == variation_counts.NO_SAMPLE


@pytest.mark.django_db
def test_counting_sends_no_events(settings: Settings) -> None:
    with LaunchDarklyServer(boolean_flag("beta", track_events=True)) as server:
        urls = dict.fromkeys(("BASE_URI", "STREAM_URI", "EVENTS_URI"), server.url)
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "SDK_KEY": server.sdk_key,
            "SEND_EVENTS": True,
            "START_WAIT": 10.0,
            **urls,
        }
        UserFactory.create_batch(3)
        is_enabled("beta", anonymous_key="somebody")
        assert counted("beta").users_counted == 3
        assert count_sample("beta").users_counted == 3
        close()
        assert {event["context"]["key"] for event in server.events("index")} == {"somebody"}
