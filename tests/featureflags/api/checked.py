"""Every answer that a test gets from the API is checked against the schema."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.featureflags.api.documented import check, schema


@pytest.fixture(autouse=True)
def every_answer_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that gets an answer which the schema does not have fails, whatever it asks itself."""
    schema()  # Drawn once, and not by several threads of a test at a time: its generator fails then.
    ask = Client.request

    def asked(client: Client, **request: Any) -> Any:
        response = ask(client, **request)
        check(str(request["REQUEST_METHOD"]), str(request["PATH_INFO"]), response)
        return response

    monkeypatch.setattr(Client, "request", asked)
