"""The OpenAPI schema over HTTP: drawn once for each language, by one thread at a time.

drf-spectacular's generator cannot run in several threads at once (it changes what it inspects), and needs a second.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from django.conf import settings
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

_drawing: Final = threading.Lock()
_drawn: Final[dict[str, dict[str, Any]]] = {}


class DrawnOnce(SchemaGenerator):
    """drf-spectacular's, with a memory."""

    def get_schema(self, request: Request | None = None, public: bool = False) -> dict[str, Any]:
        """In the language that is active, or the site's where it has none of that name."""
        active = translation.get_language()
        language = active if active in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
        with _drawing:
            if language not in _drawn:
                with translation.override(language):
                    _drawn[language] = super().get_schema(request=request, public=public)  # type: ignore[no-untyped-call]
            return _drawn[language]


class SchemaView(SpectacularAPIView):
    """The same for everybody. It has one version, so that a parameter of this name changes nothing."""

    generator_class = DrawnOnce

    def _get_version_parameter(self, _request: Request) -> None:
        return None
