"""Rows for tests, through the same managers that the application uses."""

from __future__ import annotations

import datetime
from typing import Any

import factory
from django.utils import timezone

from featureflags.models import Segment, SegmentMember
from users.models import Role, User


class UserFactory(factory.django.DjangoModelFactory[User]):
    """A user of a year ago with a verified address outside the company."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    class Params:
        employee = factory.Trait(email=factory.Sequence(lambda n: f"employee{n}@agpt.co"))
        staff = factory.Trait(is_staff=True)
        superuser = factory.Trait(is_staff=True, is_superuser=True, role=Role.ADMIN)

    email = factory.Sequence(lambda n: f"user{n}@example.com")
    email_verified = True
    name = factory.Sequence(lambda n: f"User {n}")
    role = Role.USER
    created_at = factory.LazyFunction(lambda: timezone.now() - datetime.timedelta(days=365))

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, **fields: Any) -> User:
        password = fields.pop("password", None)
        return model_class.objects.create_user(*args, password=password, **fields)


class SegmentFactory(factory.django.DjangoModelFactory[Segment]):
    """A segment that nobody is in, unless `rules` say so."""

    class Meta:
        model = Segment

    key = factory.Sequence(lambda n: f"segment-{n}")
    name = factory.LazyAttribute(lambda segment: segment.key.title())
    rules = factory.LazyFunction(list)


class SegmentMemberFactory(factory.django.DjangoModelFactory[SegmentMember]):
    class Meta:
        model = SegmentMember

    segment = factory.SubFactory(SegmentFactory)
    user = factory.SubFactory(UserFactory)
    kind = SegmentMember.Kind.INCLUDE


def rule(*clauses: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A rule in LaunchDarkly's JSON."""
    return {"clauses": list(clauses), **fields}


def clause(attribute: str, op: str, *values: Any, negate: bool = False) -> dict[str, Any]:
    """A clause in LaunchDarkly's JSON."""
    return {"attribute": attribute, "op": op, "values": list(values), "negate": negate}
