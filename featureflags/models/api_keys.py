"""Keys for programs: what each may ask, for which kinds and flags, from where, and until when.

A token is `gdn_PREFIX_SECRET`, for example `gdn_k3v9q2m7x4wd_Jx0v…`: 12 characters that name the key and
256 random bits. The table holds the SHA-256 of the whole token; a slow hash protects what people
choose, and nobody chose these bits. The token itself is shown once, by the caller of `issue`.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from featureflags.core.input_gate import LATEST

MARK: Final = "gdn"
PREFIX_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without characters that people confuse."""
PREFIX_LENGTH: Final = 12
SECRET_BYTES: Final = 32
TOKEN: Final = re.compile(rf"{MARK}_([{PREFIX_ALPHABET}]{{{PREFIX_LENGTH}}})_[A-Za-z0-9_-]{{43}}")
ORIGIN: Final = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")
"""As a browser sends it: a scheme and a host in lower case, a port if it is not the usual one."""
LONGEST_NAME: Final = 256
MOST_NAMES: Final = 1000
"""In each list of a key."""
USED_EVERY: Final = datetime.timedelta(minutes=5)
"""The shortest time between two writes of `last_used_at`."""


class Scope(models.TextChoices):
    """What a key may do. Each scope includes those before it."""

    EVALUATE = "evaluate", _("Evaluate flags")
    READ = "read", _("Read")
    WRITE = "write", _("Read and write")

    def includes(self, other: Scope) -> bool:
        order = list(Scope)
        return order.index(other) <= order.index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceKey:
    """A key as a request carries it: `request.auth` in the REST API."""

    pk: int
    name: str
    digest: str
    scope: Scope
    kinds: frozenset[str]
    flags: frozenset[str]
    origins: frozenset[str]
    """Empty: all."""
    owner_pk: Any
    """The primary key of the user as whom the key reads and writes; None: it only evaluates."""
    expires_at: datetime.datetime | None
    last_used_at: datetime.datetime | None

    def allows_flag(self, key: str) -> bool:
        return not self.flags or key in self.flags

    def allows_kind(self, kind: str) -> bool:
        return not self.kinds or kind in self.kinds

    def allows_origin(self, origin: str | None) -> bool:
        """A key with a list of origins needs a request that names one of them."""
        return not self.origins or origin in self.origins

    def has_expired(self, now: datetime.datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def digest_of(token: str) -> str:
    """The SHA-256 of a token, in hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()


def prefix_of(token: str) -> str | None:
    """The part of a token that names its key; None for any other text."""
    found = TOKEN.fullmatch(token)
    return None if found is None else found[1]


class ApiKeyManager(models.Manager["ApiKey"]):
    """Finds keys by their token."""

    def by_token(self, token: str) -> ApiKey | None:
        """The row of a token, expired and revoked ones too. One query, by the index of prefixes."""
        prefix = prefix_of(token)
        row = None if prefix is None else self.filter(prefix=prefix).first()
        if row is None or not secrets.compare_digest(row.digest, digest_of(token)):
            return None
        return row

    def note_used(self, pk: int, now: datetime.datetime) -> None:
        """Write `last_used_at`, unless a process has done so within USED_EVERY."""
        is_due = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_EVERY)
        self.filter(is_due, pk=pk).update(last_used_at=now)


def _names() -> models.JSONField[Any, Any]:
    return models.JSONField(default=list, blank=True)


class ApiKey(models.Model):
    """A key of a program. A key that only evaluates belongs to nobody; one that reads or writes does so
    with the permissions that its owner has at that moment."""

    name = models.CharField(
        _("name"), max_length=100, help_text=_("Which program uses it, and where.")
    )
    prefix = models.CharField(_("prefix"), max_length=PREFIX_LENGTH, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scope = models.CharField(_("scope"), max_length=8, choices=Scope, default=Scope.EVALUATE)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("owner"),
        help_text=_("Whose permissions it has. None for a key that only evaluates flags."),
    )
    kinds = _names()
    flags = _names()
    origins = _names()
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Clear this to revoke the key.")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("Empty: never.")
    )
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    token: str | None = None
    """Known to the object that has issued it, and to nothing else."""

    objects = ApiKeyManager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["name", "pk"]
        constraints = [
            models.CheckConstraint(
                name="api_key_owner_of_its_scope",
                condition=Q(scope=Scope.EVALUATE, owner=None)
                | (~Q(scope=Scope.EVALUATE) & Q(owner__isnull=False)),
                violation_error_message=_(
                    "A key that reads or writes needs an owner; a key that only evaluates has none."
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({MARK}_{self.prefix}…)"

    def issue(self) -> str:
        """Give a new key its token, which nobody can read again, and return it. Does not save."""
        if self.digest:
            raise ValueError("This key has a token already.")
        self.prefix = "".join(secrets.choice(PREFIX_ALPHABET) for _index in range(PREFIX_LENGTH))
        token = f"{MARK}_{self.prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
        self.digest, self.token = digest_of(token), token
        return token

    def clean(self) -> None:
        """Raises ValidationError for a list that is not one of names, and for a wrong origin."""
        super().clean()
        problems: dict[str, Any] = {
            name: found
            for name in ("kinds", "flags", "origins")
            if (found := _problem_of(name, getattr(self, name)))
        }
        if self.expires_at and self.expires_at > LATEST:
            problems["expires_at"] = _("This must lie before the year 9999.")
        if problems:
            raise ValidationError(problems)

    def as_service_key(self) -> ServiceKey:
        """The key as a frozen value."""
        return ServiceKey(
            pk=self.pk,
            name=self.name,
            digest=self.digest,
            scope=Scope(self.scope),
            kinds=frozenset(self.kinds),
            flags=frozenset(self.flags),
            origins=frozenset(self.origins),
            owner_pk=self.owner_id,
            expires_at=self.expires_at,
            last_used_at=self.last_used_at,
        )


def _problem_of(name: str, value: object) -> Any:
    if not isinstance(value, list) or len(value) > MOST_NAMES:
        return _("This must be a list of at most %d names.") % MOST_NAMES
    for each in value:
        if not isinstance(each, str) or not 0 < len(each) <= LONGEST_NAME or not each.isprintable():
            return _("Every entry must be text of 1 to %d printable characters.") % LONGEST_NAME
        if name == "origins" and not ORIGIN.fullmatch(each):
            return _("“%s” is not an origin, such as https://shop.example.com.") % each
    return None
