"""How the REST API reads bodies: JSON, within what Python's own parser can hold."""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions, parsers


class JSONParser(parsers.JSONParser):
    def parse(self, *args: Any, **options: Any) -> Any:
        """As DRF's. JSON that is nested too deeply to read is the caller's mistake: 400."""
        try:
            return super().parse(*args, **options)
        except RecursionError:
            raise exceptions.ParseError("The JSON is nested too deeply.") from None
