"""The list of segments narrowed down, its actions, and the page to copy, freeze and archive."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from featureflags.audience.stored_sizes import count_everything
from featureflags.models import HistoryEntry, Segment, SegmentMember
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.admin.asking import answer, is_asked
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db

LIST = reverse("admin:featureflags_segment_changelist")
PRO = [rule(clause("custom_plan", "in", "pro"), description="Pays")]


@pytest.fixture
def owner(client: Client) -> User:
    user: User = UserFactory.create(superuser=True, name="Ada")
    client.force_login(user)
    return user


@pytest.fixture(autouse=True)
def segments(flag_file: FlagFile) -> None:
    Segment.objects.all().delete()
    SegmentFactory.create(key="paying", name="Paying", rules=PRO)
    SegmentFactory.create(key="old", is_active=False, is_archived=True)
    UserFactory.create(metadata={"plan": "pro"})
    UserFactory.create_batch(30)
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("other")]))


def listed(client: Client, **query: str) -> list[str]:
    response = client.get(LIST, query)
    assert response.status_code == 200
    return [segment.key for segment in response.context["cl"].result_list]


def act(client: Client, action: str, *keys: str, tag: str = "") -> Any:
    chosen = [str(pk) for pk in Segment.objects.filter(key__in=keys).values_list("pk", flat=True)]
    sent = {"action": action, "_selected_action": chosen, "tag": tag}
    return client.post(f"{LIST}?archived=any", sent, follow=True)


def chosen_in(response: Any) -> list[str]:
    """The segments whose rows the list shows as chosen."""
    page = response.content.decode()
    boxes = re.findall(r'<input checked [^>]*name="_selected_action" value="(\d+)"', page)
    found: list[str] = list(Segment.objects.filter(pk__in=boxes).values_list("key", flat=True))
    return found


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def more(key: str) -> str:
    return reverse("admin:featureflags_segment_more", args=[key])


class TestList:
    def test_archived_segments_are_hidden_until_they_are_asked_for(
        self, client: Client, owner: User
    ) -> None:
        assert listed(client) == ["paying"]
        assert listed(client, archived="yes") == ["old"]
        assert listed(client, archived="any") == ["old", "paying"]

    def test_it_is_narrowed_down_by_use_size_age_owner_and_tag(
        self, client: Client, owner: User
    ) -> None:
        SegmentFactory.create(key="other", owner=owner, tags=["beta"])
        count_everything()
        assert listed(client, use="unused") == ["paying"]
        assert listed(client, size="empty") == ["other"]
        assert listed(client, owned="mine") == ["other"]
        assert listed(client, owned="nobody") == ["paying"]
        assert listed(client, tag="beta") == ["other"]
        assert listed(client, changed="1") == ["other", "paying"]
        old = timezone.now() - datetime.timedelta(days=3)
        HistoryEntry.objects.filter(segment_key="other").forget(at=old)
        assert listed(client, changed="1") == ["paying"]
        assert listed(client, changed="7") == ["other", "paying"]

    def test_a_search_looks_into_rules(self, client: Client, owner: User) -> None:
        cities = [
            rule(clause("custom_city", "in", 'Mün"chen')),
            rule(clause("role", "in", "admin")),
        ]
        SegmentFactory.create(key="south", rules=cities)
        assert listed(client, q="custom_plan") == ["paying"]
        assert listed(client, q="pays") == ["paying"]
        assert listed(client, q='Mün"chen') == ["south"]
        # By the label of an attribute.
        assert listed(client, q="Role") == ["south"]
        assert listed(client, q="nothing like it") == []

    def test_tags_and_owner_are_shown_and_no_address(self, client: Client, owner: User) -> None:
        Segment.objects.filter(key="paying").update(owner=owner)
        viewer = UserFactory.create(staff=True)
        viewer.user_permissions.set(Permission.objects.filter(codename="view_segment"))
        client.force_login(viewer)
        segment = Segment.objects.get(key="paying")
        change = reverse("admin:featureflags_segment_change", args=[segment.pk])
        for page in (client.get(LIST), client.get(change)):
            assert "Ada" in page.content.decode()
            assert owner.email not in page.content.decode()


class TestActions:
    def test_tags_are_added_and_removed(self, client: Client, owner: User) -> None:
        response = act(client, "add_tag", "paying", "old", tag="Beta")
        assert messages_of(response) == ["2 segments were changed."]
        assert Segment.objects.get(key="old").tags == ["beta"]
        act(client, "remove_tag", "paying", tag="beta")
        assert Segment.objects.get(key="paying").tags == []
        assert HistoryEntry.objects.latest("pk").source == "admin"

    def test_without_a_tag_or_with_a_wrong_one_nothing_is_changed(
        self, client: Client, owner: User
    ) -> None:
        before = HistoryEntry.objects.count()
        act(client, "add_tag", "paying", tag="one, two")
        assert {"one", "two"} <= set(Segment.objects.get(key="paying").tags)
        act(client, "remove_tag", "paying", tag="two one")
        before = HistoryEntry.objects.count()
        assert messages_of(act(client, "add_tag", "paying")) == ["Type the tag beside the action."]
        refused = act(client, "add_tag", "paying", tag="ü")
        assert "A tag has letters" in messages_of(refused)[0]
        assert HistoryEntry.objects.count() == before
        assert chosen_in(refused) == ["paying"]
        typed = refused.context["action_form"].initial
        assert (typed["action"], typed["tag"]) == ("add_tag", "ü")
        assert chosen_in(act(client, "", "paying")) == ["paying"], "no action was chosen"
        assert chosen_in(client.get(f"{LIST}?archived=any")) == [], "it is shown once"
        act(client, "add_tag", "paying")
        assert chosen_in(client.get(LIST)) == [], "it is shown in that list"

    def test_several_are_archived_and_taken_out_again(self, client: Client, owner: User) -> None:
        naming = [rule(clause("", "segmentMatch", "paying"))]
        quiet = SegmentFactory.create(key="quiet", rules=naming)
        # One that names the other, and goes with it.
        act(client, "archive_chosen", "paying", "quiet")
        assert listed(client) == []
        change = reverse("admin:featureflags_segment_change", args=[quiet.pk])
        assert "It is archived: nobody is in it." in client.get(change).content.decode()
        act(client, "unarchive_chosen", "paying", "old")
        assert listed(client) == ["old", "paying"]
        assert not Segment.objects.get(key="old").is_active

    def test_one_that_a_flag_uses_keeps_all_of_them(self, client: Client, owner: User) -> None:
        SegmentFactory.create(key="other")
        response = act(client, "archive_chosen", "paying", "other")
        assert "flags that are on use it: new-checkout" in messages_of(response)[0]
        assert sorted(chosen_in(response)) == ["other", "paying"]
        assert not Segment.objects.get(key="paying").is_archived

    def test_it_asks_where_a_change_must_be_confirmed(
        self, client: Client, owner: User, flag_file: FlagFile
    ) -> None:
        flag_file(boolean_flag("new-checkout", on=False, rules=[segment_rule("paying")]))
        asked = act(client, "archive_chosen", "paying")
        assert is_asked(asked)
        assert not Segment.objects.get(key="paying").is_archived
        back = answer(client, asked, _back="1")
        assert chosen_in(client.get(back["Location"])) == ["paying"]
        answer(client, asked, keys=("paying",))
        assert chosen_in(client.get(f"{LIST}?archived=any")) == []
        assert Segment.objects.get(key="paying").is_archived


class TestForm:
    def test_tags_and_owner_are_saved_and_who_adds_it_owns_it(
        self, client: Client, owner: User
    ) -> None:
        add = reverse("admin:featureflags_segment_add")
        form = client.get(add).context["adminform"].form
        assert form.initial["owner"] == owner.pk
        sent = {"key": "new", "name": "New", "description": "", "rules": "[]", "is_active": "on"}
        client.post(add, {**sent, "tags": "Beta, checkout", "owner": str(owner.pk)})
        made = Segment.objects.get(key="new")
        assert (made.tags, made.owner) == (["beta", "checkout"], owner)
        page = client.get(reverse("admin:featureflags_segment_change", args=[made.pk]))
        assert 'value="beta, checkout"' in page.content.decode()

    def test_a_wrong_tag_is_said_beside_the_field(self, client: Client, owner: User) -> None:
        segment = Segment.objects.get(key="paying")
        change = reverse("admin:featureflags_segment_change", args=[segment.pk])
        sent = {"name": "P", "description": "", "rules": "[]", "is_active": "on", "tags": "ü"}
        errors = client.post(change, sent).context["adminform"].form.errors
        assert list(errors) == ["tags"]

    def test_only_those_who_may_see_users_choose_among_them(self, client: Client) -> None:
        other = UserFactory.create(staff=True, name="Grace")
        editor = UserFactory.create(staff=True)
        wanted = ("view_segment", "change_segment")
        editor.user_permissions.set(Permission.objects.filter(codename__in=wanted))
        client.force_login(editor)
        segment = Segment.objects.get(key="paying")
        change = reverse("admin:featureflags_segment_change", args=[segment.pk])
        assert "Grace" not in client.get(change).content.decode()
        sent = {"name": "P", "description": "", "rules": "[]", "is_active": "on"}
        refused = client.post(change, {**sent, "owner": str(other.pk)})
        assert "owner" in refused.context["adminform"].form.errors


class TestMore:
    def test_a_copy_is_made_with_its_members(self, client: Client, owner: User) -> None:
        segment = Segment.objects.get(key="paying")
        SegmentMemberFactory.create(segment=segment, user__email="ada@example.com")
        form = client.get(more("paying")).context["form"]
        assert form.initial == {"key": "paying_copy", "name": "Copy of Paying"}
        client.post(more("paying"), {"do": "copy", **form.initial, "members": "on"})
        made = Segment.objects.get(key="paying_copy")
        assert (made.rules, made.owner) == (PRO, owner)
        assert SegmentMember.objects.filter(segment=made).count() == 1

    def test_a_key_that_is_taken_is_said_beside_the_field(
        self, client: Client, owner: User
    ) -> None:
        refused = client.post(more("paying"), {"do": "copy", "key": "old", "name": "X"})
        assert list(refused.context["form"].errors) == ["key"]

    def test_freezing_always_shows_first_what_it_does(self, client: Client, owner: User) -> None:
        asked = client.post(more("paying"), {"do": "freeze"})
        assert is_asked(asked)
        assert "Included 1 user" in asked.content.decode()
        assert Segment.objects.get(key="paying").rules
        answer(client, asked)
        frozen = Segment.objects.get(key="paying")
        assert frozen.rules == []
        assert SegmentMember.objects.filter(segment=frozen).count() == 1
        assert "It has no rules" in client.get(more("paying")).content.decode()

    def test_it_is_archived_and_taken_out(self, client: Client, owner: User) -> None:
        client.post(more("paying"), {"do": "archive"})
        assert Segment.objects.get(key="paying").is_archived
        client.post(more("paying"), {"do": "unarchive"})
        assert not Segment.objects.get(key="paying").is_archived

    def test_a_refusal_is_a_message(self, client: Client, owner: User) -> None:
        SegmentFactory.create(key="other")
        refused = client.post(more("other"), {"do": "archive"})
        assert "flags that are on use it" in messages_of(refused)[0]

    @pytest.mark.parametrize("do", ["copy", "freeze", "archive", "unarchive"])
    def test_a_viewer_is_refused_and_offered_nothing(self, client: Client, do: str) -> None:
        viewer = UserFactory.create(staff=True)
        viewer.user_permissions.set(Permission.objects.filter(codename="view_segment"))
        client.force_login(viewer)
        page = client.get(more("paying"))
        assert 'name="do"' not in page.content.decode()
        sent = {"do": do, "key": "x", "name": "X"}
        assert client.post(more("paying"), sent).status_code == 403
        assert not Segment.objects.filter(key="x").exists()
