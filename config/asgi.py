"""The ASGI entry point of a production server."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from featureflags.launchdarkly.lifespan import closing_at_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

# The server says when it ends: what was evaluated is delivered then.
application = closing_at_shutdown(get_asgi_application())
