"""How OFREP is asked here."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from tests.factories import token_for

ALL = "/ofrep/v1/evaluate/flags"
ORIGIN = "https://shop.example.com"


def post(path: str, body: Any, token: str | None = None, **headers: str) -> Any:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    if token is None:
        token = token_for()
    sent = {"authorization": f"Bearer {token}", **headers} if token else headers
    return Client().post(path, text, content_type="application/json", headers=sent)


def ask(flag: str, subject: object, token: str | None = None, /, **attributes: object) -> Any:
    context = {"targetingKey": str(subject), **attributes}
    return post(f"{ALL}/{flag}", {"context": context}, token)
