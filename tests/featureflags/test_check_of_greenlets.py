"""gevent and eventlet: a check says no, and so does the log of a server, which runs no checks."""

from __future__ import annotations

import logging
import sys
from types import ModuleType

import pytest

from featureflags.checks.greenlets import check_greenlets, log_greenlets
from tests.services.processes import run_python

PATCHED = """
import sys, types
module = types.ModuleType("gevent.monkey")
module.is_module_patched = lambda name: name == "threading"
sys.modules["gevent.monkey"] = module
import django
django.setup()
"""


@pytest.mark.parametrize(
    ("module", "ask"),
    [("gevent.monkey", "is_module_patched"), ("eventlet.patcher", "is_monkey_patched")],
)
def test_what_replaces_threads_is_an_error(
    module: str, ask: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert check_greenlets() == []
    library = ModuleType(module)
    monkeypatch.setitem(sys.modules, module, library)
    setattr(library, ask, lambda _name: False)
    assert check_greenlets() == []
    setattr(library, ask, lambda name: name in {"threading", "thread"})
    (found,) = check_greenlets()
    assert (found.id, found.msg.partition(" ")[0]) == (
        "featureflags.E044",
        module.partition(".")[0],
    )
    with caplog.at_level(logging.ERROR):
        log_greenlets()
    assert "featureflags.E044" in caplog.text


def test_a_server_says_so_when_it_starts() -> None:
    ended = run_python({"DJANGO_SETTINGS_MODULE": "config.settings.testing"}, "-c", PATCHED)
    assert "gevent has replaced Python's threads" in ended.stdout + ended.stderr
