"""The groups that come with a migration: who edits segments, and who only looks."""

from __future__ import annotations

import importlib

import pytest
from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.urls import reverse

from featureflags.models import HistoryEntry, Segment
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory

pytestmark = pytest.mark.django_db

migration = importlib.import_module("featureflags.migrations.0009_segment_groups")

LOOKS = {"view_segment", "view_segmentmember", "view_user"}
EDITS = {
    f"{verb}_{model}"
    for verb in ("add", "change", "delete")
    for model in ("segment", "segmentmember")
}


def granted(name: str) -> set[str]:
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


def in_group(client: Client, name: str) -> Client:
    user = UserFactory.create(staff=True)
    user.groups.add(Group.objects.get(name=name))
    client.force_login(user)
    return client


def test_what_each_may_do() -> None:
    assert granted("segment viewer") == LOOKS
    assert granted("segment editor") == LOOKS | EDITS


def test_run_again_it_changes_nothing_and_adds_to_a_group_of_that_name() -> None:
    before = Permission.objects.count()
    editor = Group.objects.get(name="segment editor")
    editor.permissions.remove(Permission.objects.get(codename="delete_segment"))
    extra = Permission.objects.get(codename="change_user")
    editor.permissions.add(extra)
    for _ in range(2):
        migration.create(apps, connection.schema_editor())
    assert granted("segment editor") == LOOKS | EDITS | {"change_user"}
    assert Permission.objects.count() == before


def test_django_finds_the_permissions_that_the_migration_made() -> None:
    """On a fresh database it runs before Django makes them."""
    Permission.objects.all().delete()
    migration.create(apps, connection.schema_editor())
    for label in ("featureflags", "users"):
        create_permissions(apps.get_app_config(label), verbosity=0)
    made = Permission.objects.get(codename="delete_segmentmember")
    assert made.name == "Can delete segment member"
    assert granted("segment viewer") == LOOKS


def pages(segment: Segment) -> dict[str, str]:
    """Every page about segments, by what it is for."""
    member = SegmentMemberFactory.create(segment=segment)
    change = HistoryEntry.objects.filter(segment_key=segment.key).earliest("pk")
    one, by_key = [segment.pk], [segment.key]
    return {
        "list": reverse("admin:featureflags_segment_changelist"),
        "segment": reverse("admin:featureflags_segment_change", args=one),
        "history": reverse("admin:featureflags_segment_history", args=one),
        "compare": reverse("admin:featureflags_segment_compare", args=by_key),
        "deleted": reverse("admin:featureflags_deleted_segments"),
        "who": reverse("admin:featureflags_segment_members", args=by_key),
        "why": reverse("admin:featureflags_why_segment", args=[segment.key, member.user_id]),
        "user": reverse("admin:featureflags_usercontext", args=[member.user_id]),
        "members": reverse("admin:featureflags_segmentmember_changelist"),
        "add": reverse("admin:featureflags_segment_add"),
        "delete": reverse("admin:featureflags_segment_delete", args=one),
        "restore": reverse("admin:featureflags_segment_restore", args=[change.pk]),
        "add member": reverse("admin:featureflags_segmentmember_add"),
        "delete member": reverse("admin:featureflags_segmentmember_delete", args=[member.pk]),
    }


WRITES = {"add", "delete", "restore", "add member", "delete member"}


@pytest.mark.parametrize("name", ["segment viewer", "segment editor"])
def test_a_viewer_sees_what_an_editor_sees_and_has_no_page_that_writes(
    client: Client, flag_file: FlagFile, name: str
) -> None:
    flag_file()
    who = in_group(client, name)
    found = {
        page: who.get(address).status_code
        for page, address in pages(SegmentFactory.create()).items()
    }
    refused = WRITES if name == "segment viewer" else set()
    assert {page for page, status in found.items() if status == 403} == refused
    assert {status for page, status in found.items() if page not in refused} == {200}


def test_a_viewer_is_shown_no_button_to_save_and_cannot_post(
    client: Client, flag_file: FlagFile
) -> None:
    flag_file()
    viewer = in_group(client, "segment viewer")
    segment = SegmentFactory.create(name="Mine")
    address = reverse("admin:featureflags_segment_change", args=[segment.pk])
    page = viewer.get(address).content.decode()
    assert 'name="_save"' not in page
    assert 'name="note"' not in page
    assert viewer.post(address, {"name": "Theirs", "rules": "[]"}).status_code == 403
    segment.refresh_from_db()
    assert segment.name == "Mine"
