"""`Idempotency-Key` on writes: what is sent again with the same key is answered again, and not done again.

    Idempotency-Key: 8e03978e-40d5-43e8-bc93-6894a57f9324

The key is the caller's own: two callers may use the same text. What succeeded is kept for a day, in a row that
is written in the transaction of the write itself. A second request that comes meanwhile waits for the first.
The same key with another method, address or body is refused with 422. What failed or must be confirmed
is not kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Final

from django.db import IntegrityError, transaction
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.authentication import service_key
from featureflags.api.exceptions import OverLimit
from featureflags.models import AnsweredWrite

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")

Handler = Callable[..., Response]


class KeyReused(OverLimit):
    """The key belongs to another request."""

    default_code = "idempotency_key_reused"


def idempotency_key(request: Request) -> str | None:
    """The key of a request. Raises ValidationError for one that is not 1 to 255 visible characters."""
    key = request.headers.get(HEADER)
    if key is not None and _KEY.fullmatch(key) is None:
        raise ValidationError({HEADER: ["Send 1 to 255 visible ASCII characters."]})
    return key


def once(handler: Handler, key: str) -> Handler:
    """The handler of a write, which does nothing where its answer is known."""

    def answer(request: Request, *args: Any, **kwargs: Any) -> Response:
        asked = {"caller": _caller(request), "key": key}
        fingerprint = _fingerprint(request)
        with transaction.atomic():
            try:
                with transaction.atomic():
                    row = AnsweredWrite.objects.create(**asked, fingerprint=fingerprint)
            except IntegrityError:
                return _again(AnsweredWrite.objects.get(**asked), fingerprint)
            response = handler(request, *args, **kwargs)
            row.status = response.status_code
            row.body = (
                "" if response.data is None else JSONRenderer().render(response.data).decode()
            )
            row.save()
        return response

    return answer


def _again(row: AnsweredWrite, fingerprint: str) -> Response:
    if row.fingerprint != fingerprint:
        raise KeyReused({HEADER: ["This key was sent before with another request."]})
    body = json.loads(row.body) if row.body else None
    return Response(body, status=row.status, headers={REPLAYED: "true"})


def _caller(request: Request) -> str:
    key = service_key(request)
    return f"user:{request.user.pk}" if key is None else f"key:{key.pk}"


def _fingerprint(request: Request) -> str:
    body = json.dumps(request.data, sort_keys=True, default=str)
    parts = "\n".join([str(request.method), request.get_full_path(), body])
    return hashlib.sha256(parts.encode(errors="backslashreplace")).hexdigest()
