"""The project is an app too: it has templates and commands of its own."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
