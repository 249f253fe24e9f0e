"""How many flags of many subjects are asked for, as a document and in lines."""

from __future__ import annotations

import json
from typing import Any

from rest_framework.test import APIClient

URL = "/api/v1/flags/evaluate/"
LINES = {"HTTP_ACCEPT": "application/x-ndjson"}


def caller(token: str, **headers: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", **headers)
    return client


def ask(client: APIClient, *subjects: object, flags: Any = ("new-checkout",)) -> Any:
    return client.post(URL, {"subjects": [str(each) for each in subjects], "flags": list(flags)})


def lines_of(answer: Any) -> list[dict[str, Any]]:
    assert answer["Content-Type"] == "application/x-ndjson"
    text = b"".join(answer.streaming_content).decode()
    return [json.loads(line) for line in text.splitlines()]
