"""Answers the page that asks before a change is made, as a browser would."""

from __future__ import annotations

from typing import Any

from django.test import Client


def is_asked(response: Any) -> bool:
    """Whether this is that page."""
    return response.status_code == 200 and "admin/featureflags/segments/confirm.html" in {
        template.name for template in response.templates
    }


def answer(client: Client, response: Any, *, keys: tuple[str, ...] = (), **sent: Any) -> Any:
    """Press the button that makes the change, or `_back`, with these keys typed."""
    assert is_asked(response)
    context = response.context
    data: dict[str, Any] = {}
    for name, value in context["carried"]:
        data.setdefault(name, []).append(value)
    data["note"] = context["note"]
    if "_back" not in sent:
        data["_confirmed"] = context["token"]
    if keys:
        data["_key"] = list(keys)
    return client.post(context["action"], {**data, **sent})


def reasons(response: Any) -> str:
    """Why it asks, in one text."""
    assert is_asked(response)
    return " ".join(sentence for one in response.context["shown"] for sentence in one.why)
