"""The project: settings, URLs, WSGI, ASGI and Celery. It may import every app; no app imports it."""

from config import startup

startup.begin_loading()

from config.celery import app as celery_app  # noqa: E402 - after the line above

__all__ = ["celery_app"]
