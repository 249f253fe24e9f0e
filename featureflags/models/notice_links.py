"""The page of the admin that a notification is about, as an address that opens from anywhere.

`SITE_URL` says where the site is: a worker that sends an e-mail has no request to learn it from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import NoReverseMatch, get_script_prefix, reverse

from featureflags.core.conf import app_settings


def page_of(data: Mapping[str, Any]) -> str:
    """The address of the proposal, segment or flag that the data of an event names, else of the first page.

    Without `SITE_URL` it is a path alone. Empty: the project has no admin.
    """
    try:
        path = _path(data)
    except NoReverseMatch:
        return ""
    site = app_settings().site_url.rstrip("/")
    # `SITE_URL` has the prefix of the site already; a worker does not know it.
    return f"{site}/{path.removeprefix(get_script_prefix())}" if site else path


def link_of(data: Mapping[str, Any]) -> str:
    """The same where it is a whole address; empty without `SITE_URL`."""
    return page_of(data) if app_settings().site_url else ""


def _path(data: Mapping[str, Any]) -> str:
    if "proposal" in data:
        return reverse("admin:featureflags_proposal", args=[data["proposal"]])
    if "segment" in data:
        return reverse("admin:featureflags_segment_changes", args=[data["segment"]])
    if "flag" in data:
        return reverse("admin:featureflags_flag", args=[data["flag"]])
    return reverse("admin:index")
