"""A template library with a tag that begins with `end` and ends nothing."""

from __future__ import annotations

from django import template

register = template.Library()


@register.simple_tag
def endorse() -> str:
    return "endorsed"
