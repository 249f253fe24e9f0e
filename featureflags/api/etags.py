"""Answers to clients that poll: 304 while nothing has changed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.utils.http import parse_etags
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response


def etag_of(body: object) -> str:
    """A strong ETag of JSON."""
    text = json.dumps(body, sort_keys=True, ensure_ascii=True)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def with_etag(request: Request, body: dict[str, Any], *, tagged: object) -> Response:
    """The answer with its ETag, or 304. `tagged` is the part of it that the ETag depends on."""
    etag = etag_of(tagged)
    if has_tag(request, etag):
        return Response(status=304, headers={"ETag": etag})
    return Response(body, headers={"ETag": etag})


def has_tag(request: Request, etag: str) -> bool:
    """True if `If-None-Match` names the answer that the caller would get; `*` is any that is read."""
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    if tags == ["*"]:
        return request.method in SAFE_METHODS
    # A proxy that compresses makes a tag weak.
    return etag in {tag.removeprefix("W/") for tag in tags}
