"""Rows for tests, through the same managers that the application uses."""

from __future__ import annotations

import datetime
from typing import Any

from django.contrib.auth.models import Permission
from django.utils import timezone
from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory, Trait
from factory.django import DjangoModelFactory

from featureflags.models import ApiKey, Scope, Segment, SegmentMember
from users.models import Role, User


class UserFactory(DjangoModelFactory[User]):
    """A user of a year ago with a verified address outside the company."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    class Params:
        employee = Trait(email=Sequence(lambda n: f"employee{n}@agpt.co"))
        staff = Trait(is_staff=True)
        superuser = Trait(is_staff=True, is_superuser=True, role=Role.ADMIN)

    email = Sequence(lambda n: f"user{n}@example.com")
    email_verified = True
    name = Sequence(lambda n: f"User {n}")
    role = Role.USER
    created_at = LazyFunction(lambda: timezone.now() - datetime.timedelta(days=365))

    @classmethod
    def _create(cls, model_class: type[User], *_args: Any, **fields: Any) -> User:
        email, password = fields.pop("email"), fields.pop("password", None)
        return model_class.objects.create_user(email, password, **fields)


class SegmentFactory(DjangoModelFactory[Segment]):
    """A segment that nobody is in, unless `rules` say so."""

    class Meta:
        model = Segment

    key = Sequence(lambda n: f"segment-{n}")
    name = LazyAttribute(lambda segment: segment.key.title())
    rules = LazyFunction(list)


class SegmentMemberFactory(DjangoModelFactory[SegmentMember]):
    class Meta:
        model = SegmentMember

    segment = SubFactory(SegmentFactory)
    user = SubFactory(UserFactory)
    kind = SegmentMember.Kind.INCLUDE


def rule(*clauses: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A rule in LaunchDarkly's JSON."""
    return {"clauses": list(clauses), **fields}


def clause(attribute: str, op: str, *values: Any, negate: bool = False) -> dict[str, Any]:
    """A clause in LaunchDarkly's JSON."""
    return {"attribute": attribute, "op": op, "values": list(values), "negate": negate}


def token_for(owner: User | None = None, scope: Scope | None = None, **fields: Any) -> str:
    """The token of a new API key: one that writes as its owner; without an owner it evaluates."""
    fields.setdefault("name", "a program")
    scope = scope or (Scope.EVALUATE if owner is None else Scope.WRITE)
    key = ApiKey(owner=owner, scope=scope, **fields)
    token = key.issue()
    key.full_clean()
    key.save()
    return token


def staff_with(*permissions: str) -> User:
    """Staff with these permissions alone, by codename."""
    user = UserFactory.create(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def user_of(member: SegmentMember) -> User:
    """The user of a member of a segment of users."""
    assert member.user is not None
    return member.user
