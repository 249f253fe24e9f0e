"""Faster starts: no garbage is collected while Django loads the project.

Loading makes about a million objects that all stay, and Python's cyclic collector looks through
them again and again: that took a sixth of `django.setup()`. `config/__init__.py` switches it off
with its first line; the last app, `config`, switches it on again.
"""

from __future__ import annotations

import gc


def begin_loading() -> None:
    gc.disable()


def loaded() -> None:
    """Switch the collector on. What was loaded is left out of all later collections, which makes
    these shorter, and lets forked workers share its memory."""
    gc.freeze()
    gc.enable()
