"""The clients that the documentation shows, as they are printed there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.clients import node
from tests.clients.serving import programs_of
from tests.factories import token_for
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

SHOWN = ("openfeature.md", "api.md")


@pytest.fixture
def shown(live_server: LiveServer, ada: User) -> dict[str, str]:
    """The clients by their titles, for this server, a key and an employee."""
    replaced = {
        "https://guidon.example.com": live_server.url,
        "gdn_…": token_for(),
        "USER_KEY": str(ada.pk),
    }
    return programs_of(SHOWN, replaced)


def test_python(shown: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(shown["client.py"])
    assert node.run([sys.executable, "client.py"], tmp_path).strip() == "True"


def test_plain_javascript(shown: dict[str, str], tmp_path: Path) -> None:
    node.require_node()
    (tmp_path / "flags.mjs").write_text(shown["flags.mjs"])
    assert node.run(["node", "flags.mjs"], tmp_path).strip() == "true"


def test_go(shown: dict[str, str], tmp_path: Path) -> None:
    """It is Go, and laid out as Go is. Its modules come from no registry that the tests use."""
    if shutil.which("gofmt") is None:
        pytest.skip("no gofmt here (Debian: apt-get install golang-go)")
    (tmp_path / "main.go").write_text(shown["main.go"])
    assert node.run(["gofmt", "-l", "-e", "main.go"], tmp_path) == ""


def test_node_and_the_browser_s_bundle(shown: dict[str, str], tmp_path: Path) -> None:
    node.require_node()
    folder = node.install(tmp_path)
    (folder / "server.mjs").write_text(shown["server.mjs"])
    assert node.run(["node", "server.mjs"], folder).strip() == "true"
    (folder / "web.mjs").write_text(shown["browser.mjs"])
    assert "OFREPWebProvider" in node.bundle(folder, form="esm")
