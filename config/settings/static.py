"""For `collectstatic` while an image is built: production's storage, and none of its secrets."""

from __future__ import annotations

from config.settings.base import *

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
