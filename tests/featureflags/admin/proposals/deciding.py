"""People who propose a change in the admin, and who decide about it."""

from __future__ import annotations

import datetime
import re
from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from featureflags.models import PlannedChange, Segment
from tests.factories import UserFactory, clause, rule
from tests.featureflags.admin.asking import answer
from tests.featureflags.admin.shared.confirming import EDITOR, change, form

TEAM = [rule(clause("custom_plan", "in", "team"))]
LIST = reverse("admin:featureflags_proposals")
State = PlannedChange.State


def person(*codenames: str) -> Client:
    user = UserFactory.create(is_staff=True)
    wanted = Permission.objects.filter(codename__in=[*EDITOR, *codenames])
    user.user_permissions.set(wanted)
    client = Client()
    client.force_login(user)
    return client


def tomorrow() -> str:
    at = timezone.localtime() + datetime.timedelta(days=1)
    return at.strftime("%Y-%m-%dT%H:%M")


def rules() -> Any:
    return Segment.objects.get(key="paying").rules


def proposed(client: Client, segment: Segment, due: str = "", rules: Any = TEAM) -> PlannedChange:
    segment.refresh_from_db()
    asked = client.post(change(segment), form(segment, rules=rules, note="For the launch"))
    sent = answer(client, asked, _how="propose", _due=due)
    plan = PlannedChange.objects.latest("pk")
    assert sent.status_code == 302
    assert sent.url == page(plan)
    return plan


def page(plan: PlannedChange) -> str:
    return reverse("admin:featureflags_proposal", args=[plan.pk])


def decide(client: Client, plan: PlannedChange, what: str, **more: str) -> Any:
    text = client.get(page(plan)).content.decode()
    token = re.search(r'name="_confirmed" value="([^"]*)"', text)
    sent = {"_do": what, "_confirmed": token.group(1) if token else "", **more}
    return client.post(page(plan), sent, follow=True)
