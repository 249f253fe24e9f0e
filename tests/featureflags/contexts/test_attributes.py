"""The catalogue, and how a project adds an attribute of its own in one place."""

from __future__ import annotations

import datetime

import pytest
from django.core.exceptions import ValidationError
from django.db.models import F
from django.db.models.functions import Length
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.cache import entries, protocol, snapshot_store
from featureflags.contexts.attributes import (
    Attribute,
    Privacy,
    attributes_of,
    catalogue,
    declaration_problems,
    is_user_writable,
    private_names,
    type_of,
)
from featureflags.core.conf import app_settings
from featureflags.evaluation.resolve import resolve
from featureflags.kinds import Metadata
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import user_kind
from featureflags.models.validation import check_rules
from featureflags.segments.attribute_types import AttributeType
from tests.factories import SegmentFactory, UserFactory, clause, rule

NAME_LENGTH = Attribute(
    name="name_length",
    type=AttributeType.NUMBER,
    label="Length of the name",
    value=lambda snapshot, _now: len(snapshot.name),
    sql=Length(F("name")),
    privacy=Privacy.PRIVATE,
)
TAKEN = Attribute(
    name="email", type=AttributeType.STRING, label="x", value=lambda snapshot, _now: "x"
)
NOT_ONE = "text"
HERE = "tests.featureflags.contexts.test_attributes"


def declare(settings: Settings, *names: str) -> None:
    paths = [f"{HERE}.{name}" for name in names]
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "ATTRIBUTES": paths}


@pytest.mark.django_db
def test_a_project_s_own_attribute_is_in_rules_and_contexts(settings: Settings) -> None:
    declare(settings, "NAME_LENGTH")
    SegmentFactory.create(key="short", rules=[rule(clause("name_length", "lessThan", 5))])
    context = resolve(UserFactory.create(name="Ada"))
    assert context.context.get("name_length") == 3
    assert "short" in context.segments
    assert "name_length" in context.context.to_dict()["_meta"]["privateAttributes"]
    assert "short" not in resolve(UserFactory.create(name="Augusta")).segments


@pytest.mark.django_db
def test_without_it_such_a_rule_is_refused(settings: Settings) -> None:
    with pytest.raises(ValidationError, match="name_length"):
        SegmentFactory.create(rules=[rule(clause("name_length", "lessThan", 5))])


@pytest.mark.parametrize("name", ["TAKEN", "NOT_ONE"])
def test_a_wrong_declaration_is_left_out(settings: Settings, name: str) -> None:
    before = catalogue()
    declare(settings, name)
    assert catalogue() == before
    [problem] = declaration_problems()
    assert (name if name == "NOT_ONE" else "taken") in problem


def test_types() -> None:
    assert type_of("email_verified") is AttributeType.BOOLEAN
    assert type_of("custom_anything") is AttributeType.ANY
    assert type_of("custom_") is None
    assert type_of("segments") is None


def test_private_by_default() -> None:
    assert private_names() == {"email", "name"}


class TestUserWritten:
    """What anybody can type at sign-up makes no segment without a word of warning."""

    def test_metadata_is_not_written_by_users(self) -> None:
        assert not is_user_writable("custom_plan")
        assert is_user_writable("email_domain")
        assert is_user_writable("name")

    def test_a_rule_that_tests_only_it_gets_a_warning(self) -> None:
        domain = clause("email_domain", "in", "agpt.co")
        [warning] = check_rules([rule(domain)]).warnings()
        assert "Rule 1" in str(warning)
        assert "verified" in str(warning)
        verified = clause("email_verified", "in", True)
        assert check_rules([rule(domain, verified)]).warnings() == []
        assert check_rules([rule(domain, {**verified, "negate": True})]).warnings()
        assert check_rules([rule(clause("role", "in", "admin"))]).warnings() == []
        # Not only what users write; and an address that is verified does not help a name.
        role = clause("role", "in", "admin")
        name = clause("name", "in", "Ada")
        assert check_rules([rule(domain, role)]).warnings() == []
        [warning] = check_rules([rule(name, domain)]).warnings()
        assert "(Name, E-mail domain)" in str(warning)
        assert "only your own code writes" in str(warning)
        assert check_rules([rule()]).warnings() == []

    def test_the_advice_fits_what_is_tested(self, monkeypatch: pytest.MonkeyPatch) -> None:
        [address] = check_rules([rule(clause("email", "endsWith", "@agpt.co"))]).warnings()
        assert "Add the condition “E-mail verified is true”" in str(address)
        [name] = check_rules([rule(clause("name", "in", "Ada"))]).warnings()
        assert "Anybody can call themselves so" in str(name)
        assert "verified" not in str(name)
        written = {
            **user_kind().declared.declared,
            "metadata": Metadata("metadata", user_writable=True),
        }
        monkeypatch.setattr(user_kind().declared, "declared", written)
        assert is_user_writable("custom_plan")
        [plan] = check_rules([rule(clause("custom_plan", "in", "pro"))]).warnings()
        assert "(plan)" in str(plan)
        assert "Let only your own code write these fields" in str(plan)

    def test_a_kind_without_verified_addresses_is_not_told_of_them(
        self, organizations: CompiledKind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("featureflags.models.validation.is_user_writable", lambda *_: True)
        [warning] = check_rules([rule(clause("name", "in", "agpt"))], "organization").warnings()
        assert "verified" not in str(warning)


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_is_kept_for_24_hours_under_its_key() -> None:
    assert app_settings().snapshot_seconds == 24 * 3600
    snapshot = user_kind().snapshot_of(UserFactory.create())
    protocol.fill(protocol.read([snapshot.key]), [snapshot], is_current=True)
    name = entries.name_of(snapshot.key)
    assert name == f"u:{snapshot.key}"
    from django.core.cache import caches  # noqa: PLC0415 - beside its use

    entry = snapshot_store.entry_of(snapshot.key, caches["featureflags"].get(name))
    in_a_day = timezone.now() + datetime.timedelta(days=1)
    assert entry is not None
    assert abs(entry.fresh_until / 1e6 - in_a_day.timestamp()) < 60


@pytest.mark.django_db
def test_what_is_always_known_even_the_barest_account_has() -> None:
    bare = user_kind().snapshot_of(UserFactory.create(name="", email="a@b.example", metadata={}))
    known = attributes_of(bare, bare.created_at)
    always = {name for name, attribute in catalogue().items() if attribute.always_known}
    assert always <= known.keys()
    assert catalogue().keys() - known.keys() == {"name", "last_seen_at", "days_since_last_seen"}
    assert {"groups", "email", "created_at"} <= always
