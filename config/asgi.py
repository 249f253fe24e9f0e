"""The ASGI entry point of a production server."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

django_application = get_asgi_application()

# Our models and views can be imported only once Django is set up, which the line above does.
from config import server_log  # noqa: E402
from config.charsets import asgi_in_utf_8  # noqa: E402
from config.pages import load_pages  # noqa: E402
from featureflags.launchdarkly.asgi_lifespan import closing_at_shutdown  # noqa: E402
from featureflags.live.asgi import with_streams  # noqa: E402

load_pages()
server_log.use()

# The server says when it ends: what was evaluated is delivered then.
application = closing_at_shutdown(with_streams(asgi_in_utf_8(django_application)))
