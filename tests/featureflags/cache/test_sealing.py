"""Entries that are encrypted: what a thief reads, what a writer to the cache can do, and new keys."""

from __future__ import annotations

import base64
from typing import Any
from unittest import mock

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.cache import caches
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from featureflags.cache import sealing
from featureflags.cache.entries import HEAD, encode, head, name_of
from featureflags.cache.sealing import seal, unseal
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.results import ContextSource
from featureflags.core.conf import app_settings, setting_problems
from featureflags.evaluation import resolve
from tests.factories import UserFactory
from tests.featureflags.cache.test_entries import EPOCH, UNTIL, snapshot
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW, OTHER = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))


def use(settings: Settings, *keys: str) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "ENTRY_KEYS": list(keys)}


def stored(user: User) -> bytes:
    found: Any = caches[app_settings().cache].get(name_of(str(user.pk)))
    assert isinstance(found, bytes)
    return found


def put(user: User, value: bytes) -> None:
    caches[app_settings().cache].set(name_of(str(user.pk)), value)


def source(user: User) -> ContextSource:
    with unit_of_work():
        return resolve(str(user.pk)).source


def ada() -> User:
    return UserFactory.create(
        email="ada@sentinel.example", name="Sentinel", metadata={"iban": "DE-1"}
    )


def test_a_thief_reads_nothing_and_answers_are_the_same(settings: Settings) -> None:
    user = ada()
    with unit_of_work():
        plain = resolve(str(user.pk)).context.to_dict()
    assert b"sentinel" in stored(user)
    use(settings, NEW)
    assert source(user) is ContextSource.DATABASE, "what is not sealed is not used"
    for word in (b"entinel", b"iban", b"DE-1", str(user.pk).encode()):
        assert word not in stored(user)
    assert source(user) is ContextSource.CACHE
    with unit_of_work():
        assert resolve(str(user.pk)).context.to_dict() == plain


def test_an_entry_of_another_user_is_none(settings: Settings) -> None:
    use(settings, NEW)
    admin, user = UserFactory.create(superuser=True), ada()
    assert source(admin) is source(user) is ContextSource.DATABASE
    put(user, stored(admin))
    assert source(user) is ContextSource.DATABASE
    with unit_of_work():
        assert resolve(str(user.pk)).context.get("is_staff") is False


def test_an_old_entry_cannot_be_made_fresh_again(settings: Settings) -> None:
    use(settings, NEW)
    entry = seal("ada", encode(UNTIL, EPOCH, snapshot()))
    assert unseal("ada", entry) is not None
    for changed in (head(UNTIL + 1, EPOCH), head(UNTIL, EPOCH + 1)):
        assert unseal("ada", changed + entry[HEAD:]) is None


@given(data=st.data())
def test_no_changed_byte_passes(data: st.DataObject) -> None:
    with mock.patch.object(sealing, "ciphers", return_value=[AESGCM(bytes(range(32)))]):
        entry = bytearray(seal("ada", encode(UNTIL, EPOCH, snapshot(plan="pro"))))
        at = data.draw(st.integers(0, len(entry) - 1))
        entry[at] ^= data.draw(st.integers(1, 255))
        plain = unseal("ada", bytes(entry))
        # The length of the text is implied by the end of the entry: it is not read.
        assert plain is None or HEAD < at < sealing.START
        assert unseal("ada", bytes(entry[: data.draw(st.integers(0, 40))])) is None


def test_a_new_key_in_front_and_the_old_one_behind(settings: Settings) -> None:
    use(settings, OLD)
    user = ada()
    source(user)
    first = stored(user)
    use(settings, NEW, OLD)
    assert source(user) is ContextSource.CACHE
    user.save(update_fields=["name"])
    User.objects.filter(pk=user.pk).update(name="Later")
    assert source(user) is ContextSource.DATABASE
    assert stored(user) != first
    use(settings, NEW)
    assert source(user) is ContextSource.CACHE, "written with the new key"
    use(settings, OTHER)
    assert source(user) is ContextSource.DATABASE


def test_a_warm_up_seals_and_leaves_good_entries_alone(settings: Settings) -> None:
    use(settings, NEW)
    user = ada()
    call_command("warm_contexts", "--all")
    first = stored(user)
    assert b"entinel" not in first
    assert source(user) is ContextSource.CACHE
    call_command("warm_contexts", "--all")
    assert stored(user) == first


def test_without_the_package_nothing_is_stored_in_clear(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "HAS_CRYPTOGRAPHY", False)
    use(settings, NEW)
    user = ada()
    assert source(user) is source(user) is ContextSource.DATABASE
    assert caches[app_settings().cache].get(name_of(str(user.pk))) is None


@pytest.mark.parametrize(
    "wrong", ["short", "é" * 32, OLD[:-4], base64.b64encode(bytes(16)).decode()]
)
def test_a_wrong_key_is_named_and_stores_nothing_readable(settings: Settings, wrong: str) -> None:
    use(settings, OLD, wrong)
    [problem] = setting_problems()
    assert problem.id == "featureflags.E017"
    assert "ENTRY_KEYS" in problem.words
    assert wrong not in str(problem)
    user = ada()
    source(user)
    assert b"entinel" not in stored(user)
    assert repr(app_settings().entry_keys[0]) not in repr(app_settings())
