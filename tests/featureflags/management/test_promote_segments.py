"""`promote_segments` between two installations: two databases, two servers on loopback, both directions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.models import Segment
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.admin.asking import answer, is_asked
from tests.featureflags.management.installations import (
    RULES,
    Site,
    installations,
    promote,
    segment_match,
    site,
)

# The installations are on SQLite, whatever the stack is. Each test has a database, so that all run one after
# another and share the installations.
pytestmark = [pytest.mark.django_db, pytest.mark.embedded_stack]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    folder = tmp_path_factory.mktemp("installations")
    with site(folder, "here") as here, site(folder, "there") as there:
        yield {"here": here, "there": there}


def test_segments_are_promoted_in_both_directions(sites: dict[str, Site]) -> None:
    here, there = sites["here"], sites["there"]
    here.write("beta", rules=RULES, tags=["autumn"])
    here.write("a_first", name="Names beta", rules=[segment_match("beta")])
    there.write("theirs", name="Theirs", rules=RULES)

    shown = promote(sites, "--json")
    assert shown.returncode == 0, shown.stderr
    differ = {each["key"]: each["is"] for each in json.loads(shown.stdout)["differences"]}
    ours = ("a_first", "beta", "theirs")
    assert [differ[key] for key in ours] == ["only here", "only here", "only there"]

    examined = promote(sites, "beta", "--to", "--dry-run")
    assert "entering there: 5, leaving: 0" in examined.stdout
    assert there.segment("beta") == {}
    # `a_first` names `beta`, which is not there yet: it is written after it.
    done = promote(sites, "a_first", "beta", "--to", "--confirm", "--note", "Autumn", "--json")
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(done.stdout)["written"]) == ["a_first", "beta"]
    assert there.segment("beta") == here.segment("beta")
    assert there.segment("a_first") == here.segment("a_first")

    done = promote(sites, "theirs", "--from", "--confirm")
    assert done.returncode == 0, done.stderr
    assert here.segment("theirs") == there.segment("theirs")
    # As a process, as people run it.
    [address] = installations(sites)["INSTALLATIONS"]
    variables = {"INSTALLATIONS": address, "WEBHOOK_PRIVATE_ADDRESSES": "true"}
    shown = here.run("promote_segments", "staging", "--json", **variables)
    assert shown.returncode == 0, shown.stderr
    left = json.loads(shown.stdout)["differences"]
    assert not {each["key"] for each in left} & set(ours)


def test_a_change_that_must_be_confirmed_is_and_one_of_others_stops_it(
    sites: dict[str, Site],
) -> None:
    here, there = sites["here"], sites["there"]
    there.write("used", name="Used", rules=[])
    here.write("used", name="Used", rules=RULES)
    refused = promote(sites, "used", "--to")
    assert refused.returncode == 1
    assert "--confirm" in refused.stderr
    assert there.segment("used")["rules"] == []
    done = promote(sites, "used", "--to", "--confirm")
    assert done.returncode == 0, done.stderr
    assert there.segment("used") == here.segment("used")
    # To deactivate what a flag there uses takes its key.
    here.write("used", is_active=False)
    refused = promote(sites, "used", "--to", "--confirm")
    assert "--confirm-key used" in refused.stderr
    assert promote(sites, "used", "--to", "--confirm", "--confirm-key", "used").returncode == 0
    assert not there.segment("used")["is_active"]


def test_several_are_written_together_or_not_at_all(sites: dict[str, Site]) -> None:
    """The second one would close a circle there: the first is not written either."""
    here, there = sites["here"], sites["there"]
    here.write("ring_a", rules=RULES)
    here.write("ring_b", rules=[segment_match("ring_a")])
    there.write("ring_b", rules=RULES)
    there.write("ring_a", rules=[segment_match("ring_b")])
    before = there.segment("ring_a")
    # There `ring_a` still names `ring_b`, which is to name it.
    refused = promote(sites, "ring_b", "--to", "--confirm")
    assert refused.returncode == 1
    assert "circle" in refused.stderr
    assert there.segment("ring_a") == before
    done = promote(sites, "ring_b", "ring_a", "--to", "--confirm", "--json")
    assert done.returncode == 0, done.stderr
    assert there.segment("ring_a") == here.segment("ring_a")
    assert there.segment("ring_b") == here.segment("ring_b")


def test_members_and_owners_are_promoted_by_address(sites: dict[str, Site]) -> None:
    """Users have another key there; who is nobody there is left out, and named."""
    here, there = sites["here"], sites["there"]
    here.write("testers", rules=[])
    here.include("testers", "u1@example.com", "u2@example.com", "only-here@example.com")
    there.write("testers", rules=[])
    there.include("testers", "u3@example.com")
    shown = promote(sites, "--json")
    [one] = [each for each in json.loads(shown.stdout)["differences"] if each["key"] == "testers"]
    assert one["is"] == "only in members"
    assert "only-here" not in shown.stdout
    # Without --members the list there stays.
    assert promote(sites, "testers", "--to", "--json", "--confirm").returncode == 0
    assert there.segment("testers")["members"] == [["u3@example.com", "include"]]
    done = promote(sites, "testers", "--to", "--members", "--confirm", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["written"] == ["testers"]
    assert any("only-here@example.com" in line for line in said["left_out"])
    wanted = [["u1@example.com", "include"], ["u2@example.com", "include"]]
    assert there.segment("testers")["members"] == wanted
    there.shell(
        "from featureflags.models import Segment; from users.models import User\n"
        "row = Segment.objects.get(key='testers'); row.owner = User.objects.get(email='u4@example.com'); row.save()"
    )
    done = promote(sites, "testers", "--from", "--members", "--confirm", "--json")
    assert done.returncode == 0, done.stderr
    assert here.segment("testers")["members"] == wanted
    assert here.segment("testers")["owner"] == "u4@example.com"
    assert "only-here@example.com" not in sites["there"].web.log()


def test_what_needs_an_approval_becomes_a_proposal_there(
    sites: dict[str, Site], tmp_path: Path
) -> None:
    """And here, where somebody is named who proposes it."""
    here = sites["here"]
    here.write("used", name="Used", rules=RULES, is_active=True)
    here.write("unused", name="Unused", rules=RULES)
    with site(tmp_path, "strict", APPROVE_LIVE_SEGMENTS="true") as strict:
        strict.write("used", name="Used", rules=[])
        both = {**sites, "there": strict}
        examined = promote(both, "used", "unused", "--to", "--dry-run")
        assert "becomes a proposal in staging" in examined.stdout
        done = promote(
            both, "used", "unused", "--to", "--note", "Release 12", "--json", "--confirm"
        )
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["written"], said["proposed"]) == (["unused"], ["used"])
        assert strict.segment("used")["rules"] == []
        assert strict.segment("unused") == here.segment("unused")
        plan = strict.shell(
            "from featureflags.models import PlannedChange as P; p = P.objects.get()\n"
            "print('PLAN', p.segment_key, p.state, p.author.email, p.note)"
        )
        assert "PLAN used proposed root@example.com Release 12" in plan

    strictly = {"APPROVE_LIVE_SEGMENTS": True}
    sites["there"].write("used", name="Used", rules=[], is_active=True)
    refused = promote(sites, "used", "--from", "--confirm", **strictly)
    assert refused.returncode == 1
    assert "--author" in refused.stderr
    done = promote(sites, "used", "--from", "--author", "root@example.com", **strictly)
    assert done.returncode == 0, done.stderr
    assert "Proposed here: used." in done.stdout
    assert here.segment("used")["rules"] != []


def test_a_change_of_somebody_else_in_between_stops_it(sites: dict[str, Site]) -> None:
    """The answer of the examination confirms what it showed, and nothing else."""
    here, there = sites["here"], sites["there"]
    here.write("between", rules=RULES)
    there.write("between", name="First", rules=[])
    program = (
        "from featureflags.editing.installations import *\n"
        "other = connected('staging')\n"
        "push = Push.of(other, ['between'], named=[], with_members=False)\n"
        "found = push.examine()\n"
        "other.write({'segments': {'between': {'key': 'between', 'name': 'Second', 'rules': []}}, 'confirm': True})\n"
        "try: push.write(token=found.token, keys=[], note='')\n"
        "except InstallationError as error: print('SAID', error.status, error)"
    )
    known = {
        "INSTALLATIONS": f"staging {there.web.url}/api/v1 {there.token}",
        "WEBHOOK_PRIVATE_ADDRESSES": "true",
    }
    done = here.run("shell", "--command", program, **known)
    assert "SAID 409 staging answered 409. Nothing is written." in done.stdout, done.stderr
    assert there.segment("between")["name"] == "Second"


def test_the_key_is_nowhere_and_private_addresses_need_the_setting(
    sites: dict[str, Site],
) -> None:
    wrong = promote(
        sites, INSTALLATIONS=[f"staging {sites['there'].web.url}/api/v1 gdn_wrong-key-x"]
    )
    assert wrong.returncode == 1
    assert "answered 401" in wrong.stderr
    assert "wrong-key-x" not in wrong.stderr + wrong.stdout
    closed = promote(sites, WEBHOOK_PRIVATE_ADDRESSES=False)
    assert closed.returncode == 1
    assert "must begin with https://" in closed.stderr
    assert sites["there"].token not in closed.stderr + sites["there"].web.log()
    unknown = promote(sites, INSTALLATIONS=[])
    assert "INSTALLATIONS has no 'staging'" in unknown.stderr


def test_the_page_examines_first_and_carries_in_both_directions(
    sites: dict[str, Site], client: Client, settings: Settings
) -> None:
    there = sites["there"]
    entry = f"staging {there.web.url}/api/v1 {there.token}"
    settings.FEATUREFLAGS = {
        **settings.FEATUREFLAGS,
        "INSTALLATIONS": [entry],
        "WEBHOOK_PRIVATE_ADDRESSES": True,
    }
    there.write("of_there", name="Of there", rules=RULES)
    UserFactory.create(metadata={"plan": "pro"})
    SegmentFactory.create(key="of_here", name="Of here", rules=RULES)
    client.force_login(UserFactory.create(superuser=True))
    page = reverse("admin:featureflags_installation", args=["staging"])
    where = {row.key: row.where for row in client.get(page).context["rows"]}
    assert (where["of_here"], where["of_there"]) == ("only here", "only there")

    asked = client.post(page, {"segment": ["of_here"], "way": "to"})
    [one] = asked.context["examined"].segments
    assert (one.entering, one.leaving) == ("5", "0")
    assert there.segment("of_here") == {}
    token = asked.context["examined"].token
    sent = {"segment": ["of_here"], "way": "to", "_token": token}
    # What was not shown is not written.
    stale = client.post(page, {**sent, "_token": "x"})
    assert "Something has changed since this was examined" in stale.content.decode()
    assert there.segment("of_here") == {}
    done = client.post(page, sent, follow=True)
    assert "1 segment was promoted to staging." in done.content.decode()
    assert there.segment("of_here")["name"] == "Of here"

    asked = client.post(page, {"segment": ["of_there"], "way": "from"})
    assert is_asked(asked)
    assert not Segment.objects.filter(key="of_there").exists()
    done = answer(client, asked)
    assert Segment.objects.get(key="of_there").name == "Of there"
    for text in (asked.content.decode(), client.get(page).content.decode()):
        assert there.token not in text

    viewer = UserFactory.create(staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_segment"))
    client.force_login(viewer)
    assert client.get(page).status_code == 200
    assert client.post(page, {"segment": ["of_here"], "way": "to"}).status_code == 403
