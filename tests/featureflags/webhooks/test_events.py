"""What is announced: segments, sizes, targeting, outages; and nothing that names a person."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from featureflags.audience import stored_sizes
from featureflags.models import (
    EventType,
    ObservedState,
    Segment,
    SegmentMember,
    Webhook,
    WebhookDelivery,
)
from featureflags.models.changesets import open_changeset
from featureflags.tasks import observe as observe_task
from featureflags.webhooks import observing
from tests.conftest import FlagFile
from tests.factories import UserFactory, clause, rule
from tests.featureflags.webhooks.receiver import Receiver
from tests.services.flag_json import boolean_flag, segment_rule

pytestmark = pytest.mark.django_db(transaction=True)


def announced(event: EventType) -> list[dict[str, Any]]:
    rows = WebhookDelivery.objects.filter(event=event).order_by("pk")
    return [json.loads(row.body)["data"] for row in rows]


@pytest.fixture
def hook(transactional_db: None) -> Webhook:
    return Webhook.objects.create(name="chat", url="https://hooks.example.com/")


class TestSegments:
    def test_a_segment_is_created_changed_and_deleted(self, hook: Webhook) -> None:
        author = UserFactory.create(staff=True)
        with open_changeset(actor=author, note="For ann@agpt.co", source="test"):
            segment = Segment.objects.create(
                key="beta", name="Beta", rules=[rule(clause("is_staff", "in", True))]
            )
        segment.name = "The beta"
        segment.save()
        segment.delete()
        found = announced(EventType.SEGMENT_CHANGED)
        assert [(one["segment"], one["change"]) for one in found] == [
            *(("beta", "created"), ("beta", "changed"), ("beta", "deleted")),
        ]
        assert (found[0]["entering"], found[0]["actor"]) == (1, str(author.pk))
        bodies = "".join(WebhookDelivery.objects.values_list("body", flat=True))
        assert "agpt.co" not in bodies

    def test_a_member_by_name_is_a_change(self, hook: Webhook) -> None:
        segment = Segment.objects.create(key="beta", name="Beta")
        SegmentMember.objects.create(segment=segment, user=UserFactory.create())
        assert announced(EventType.SEGMENT_CHANGED)[-1]["entering"] == 1

    def test_only_what_a_webhook_wants(self, hook: Webhook) -> None:
        hook.events = [EventType.DEGRADED]
        hook.save()
        Segment.objects.create(key="beta", name="Beta")
        assert not WebhookDelivery.objects.exists()

    def test_without_a_webhook_it_costs_one_query(
        self, transactional_db: None, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(1):
            Webhook.objects.announce(EventType.SEGMENT_CHANGED, [{"segment": "beta"}])
        with django_assert_num_queries(0):
            Webhook.objects.announce(EventType.SEGMENT_CHANGED, [])


class TestSizes:
    @pytest.fixture(autouse=True)
    def counted(self, hook: Webhook) -> None:
        UserFactory.create_batch(100, staff=True)
        Segment.objects.create(
            key="staff", name="Staff", rules=[rule(clause("is_staff", "in", True))]
        )
        stored_sizes.count_everything()
        WebhookDelivery.objects.all().delete()

    @pytest.mark.parametrize(("more", "jumps"), [(19, False), (20, True)])
    def test_a_jump_is_twenty_percent(self, more: int, jumps: bool) -> None:
        UserFactory.create_batch(more, staff=True)
        stored_sizes.count_everything()
        found = announced(EventType.SEGMENT_SIZE_JUMPED)
        assert bool(found) is jumps
        if jumps:
            (one,) = (each for each in found if each["segment"] == "staff")
            assert one["before"] == {"at_least": 100, "at_most": 100}
            assert one["now"] == {"at_least": 120, "at_most": 120}

    def test_a_small_segment_does_not_jump(self) -> None:
        Segment.objects.create(
            key="few", name="Few", rules=[rule(clause("name", "in", "Ada Lovelace"))]
        )
        WebhookDelivery.objects.all().delete()
        UserFactory.create_batch(9, name="Ada Lovelace")
        stored_sizes.count_everything()
        assert announced(EventType.SEGMENT_SIZE_JUMPED) == []


def flags(*segments: str, **fields: Any) -> Any:
    flag = boolean_flag("new-checkout", rules=[segment_rule(each) for each in segments])
    return {"flags": {"new-checkout": {**flag, **fields}}, "segments": {}}


class TestTargets:
    def observe(self, data: Any) -> list[dict[str, Any]]:
        observing.observe(flags=data, problems={})
        return announced(EventType.FLAG_TARGETS_CHANGED)

    def test_another_segment(self, hook: Webhook) -> None:
        assert self.observe(flags("beta")) == []
        assert self.observe(flags("beta")) == []
        (found,) = self.observe(flags("beta", "vip"))
        assert found == {
            "flag": "new-checkout",
            "change": "changed",
            "parts": ["rules"],
            "segments_before": ["beta"],
            "segments": ["beta", "vip"],
        }

    def test_what_decides_nobody_s_value_is_no_change(self, hook: Webhook) -> None:
        self.observe(flags("beta"))
        assert self.observe(flags("beta", version=9, tags=["new"])) == []

    def test_a_flag_comes_and_goes(self, hook: Webhook) -> None:
        self.observe({"flags": {}, "segments": {}})
        self.observe(flags("beta"))
        found = self.observe({"flags": {}, "segments": {}})
        assert [one["change"] for one in found] == ["created", "deleted"]

    def test_nothing_is_remembered_while_no_webhook_is_active(self, hook: Webhook) -> None:
        self.observe(flags("beta"))
        Webhook.objects.update(is_active=False)
        self.observe(flags("vip"))
        assert not ObservedState.objects.exists()
        Webhook.objects.update(is_active=True)
        assert self.observe(flags("other")) == []


class TestOutages:
    def test_it_fails_and_works_again(self, hook: Webhook) -> None:
        for problems in ({}, {"cache": "TimeoutError"}, {"cache": "TimeoutError"}, {}, {}):
            observing.observe(flags=None, problems=problems)
        assert announced(EventType.DEGRADED) == [{"part": "cache", "problem": "TimeoutError"}]
        assert announced(EventType.HEALED) == [{"part": "cache"}]

    def test_nobody_could_look(self, hook: Webhook) -> None:
        observing.observe(flags=None, problems={})
        ObservedState.objects.update(looked_at=timezone.now() - datetime.timedelta(minutes=20))
        observing.observe(flags=None, problems={})
        (found,) = announced(EventType.DEGRADED)
        assert found["part"] == "observation"
        assert announced(EventType.HEALED) == [{"part": "observation"}]


def test_the_schedule_without_celery_observes_and_sends(
    hook: Webhook, receiver: Receiver, flag_file: FlagFile
) -> None:
    flag_file(boolean_flag("new-checkout"))
    hook.url = receiver.url
    hook.save()
    observe_task()
    ObservedState.objects.update(looked_at=timezone.now() - datetime.timedelta(minutes=20))
    call_command("run_due_tasks", verbosity=0)
    kinds = [json.loads(body)["type"] for body in receiver.bodies]
    assert {"service.degraded", "service.healed"} <= set(kinds)
