"""The pages of a web server, loaded before it takes the first request."""

from __future__ import annotations

from django.urls import reverse


def load_pages() -> None:
    """Import the URLs and all views. Commands never need them, so no start does it for itself.

    No first visitor waits for it then, a URLconf that cannot be imported stops the server instead
    of failing each request, and workers that are forked later share what was loaded.
    """
    reverse("health")
