"""The WSGI entry point of a production server."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

django_application = get_wsgi_application()

# The views can be imported only once Django is set up, which the line above does.
from config import server_log  # noqa: E402
from config.charsets import wsgi_in_utf_8  # noqa: E402
from config.pages import load_pages  # noqa: E402

load_pages()
server_log.use()

application = wsgi_in_utf_8(django_application)
