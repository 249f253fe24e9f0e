"""Keys of any type travel as text: integers, UUIDs and texts; a composite key is refused."""

from __future__ import annotations

import datetime
import uuid
from itertools import chain

import pytest
from django.db import connection

from featureflags.audience.querysets import Resolver
from featureflags.cache import protocol
from featureflags.capture import installation
from featureflags.core.times import now_in_microseconds, to_microseconds
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds import Kind, Text
from featureflags.kinds.compiled import CompiledKind
from featureflags.segments.parsing import parse_definition
from featureflags.warming.ranges import plan, within
from tests.customers.models import Customer, Device, Order, Seat
from tests.factories import SegmentFactory, clause, rule
from tests.featureflags.kinds.conftest import declared
from users.models import User

SERIALS = ("A-1", "a-1", "Ünion", "7", "07", "x@y.example", 'quote"s', "50% off", " ")


class DeviceKind(Kind):
    name = "user"
    model = Device
    label_ = Text("label")


class SeatKind(Kind):
    name = "user"
    model = Seat


class UserKind(Kind):
    name = "user"
    model = User


def create_devices() -> None:
    Device.objects.bulk_create(Device(serial=serial) for serial in SERIALS)


def test_a_composite_key_is_refused() -> None:
    with pytest.raises(TypeError, match="Seat has a composite primary key"):
        CompiledKind(SeatKind)


def test_uuids_in_any_form() -> None:
    kind, key = CompiledKind(UserKind), uuid.uuid4()
    assert kind.canonical(key.hex.upper()) == str(key)
    assert kind.parse_key(str(key)) == key
    assert [kind.parse_key(text) for text in (key.hex, "", "nobody", "7")] == [None] * 4


def test_integers_in_digits_alone(kind: CompiledKind) -> None:
    assert kind.parse_key("42") == 42
    for text in ("042", "4.0", " 42", "+42", "９", "", "0x2a", str(2**70), "42\0"):
        assert kind.parse_key(text) is None, text


@pytest.mark.django_db(transaction=True)
def test_texts_as_they_are() -> None:
    with declared(DeviceKind) as kind:
        installation.install(connection)
        create_devices()
        found = contexts_for(SERIALS)
        assert {key: each.context.key for key, each in found.items()} == {
            key: key for key in SERIALS
        }
        assert not any(each.degraded for each in found.values())
        Device.objects.filter(serial="a-1").update(label="new")
        assert set(SERIALS) - protocol.read(SERIALS).fresh.keys() == {"a-1"}
        assert resolve("a-1").context.get("label") == "new"
        assert resolve("b").degraded
        wanted = {"clauses": [clause("key", "in", "a-1", "07", 'quote"s', "b", 7)]}
        definition = parse_definition({"key": "s", "rules": [wanted]})
        assert set(kind.keys(Resolver().members(kind.rows(), definition, None))) == {
            *("a-1", "07", 'quote"s'),
        }
    installation.install(connection)


@pytest.mark.django_db
def test_ranges_of_a_warm_up_hold_everybody_once() -> None:
    with declared(DeviceKind) as kind:
        create_devices()
        ranges = list(plan(kind.rows(), 2))
        held = [kind.keys(within(kind.rows(), each.first, each.until)) for each in ranges]
    assert sorted(chain.from_iterable(held)) == sorted(SERIALS)
    assert len(ranges) == 5


@pytest.mark.django_db
def test_a_date_of_a_related_row_says_when_the_context_changes(kind: CompiledKind) -> None:
    SegmentFactory.create(key="fresh", rules=[rule(clause("days_since_order", "lessThan", 30))])
    customer = Customer.objects.create(username="ada")
    placed = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3, hours=20)
    Order.objects.create(customer=customer, placed_at=placed)
    found = resolve(customer.pk)
    assert "fresh" in found.segments
    # The fourth day is full before anything else changes by itself.
    assert found.valid_until == to_microseconds(placed + datetime.timedelta(days=4))
    assert found.valid_until > now_in_microseconds()
