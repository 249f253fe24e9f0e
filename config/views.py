"""The home page of the demo: what different people see, side by side."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def home(request: HttpRequest) -> HttpResponse:
    """The page at `/`."""
    return render(request, "home.html")
