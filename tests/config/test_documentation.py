"""`/docs/`: the built documentation, with a policy that lets no other script run; or how to build."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from tests.services.processes import ROOT

PAGES_OF_THE_ROOT = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
SOURCES = ("docs", "mkdocs.yml", ".env.example", *PAGES_OF_THE_ROOT)


LOADED = re.compile(r'<(?:link|script|img|iframe|source)[^>]*(?:src|href)="(?:https?:)?//[^>]*>')
"""What a browser fetches by itself from another server. A link that a reader follows does not count."""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does it, from a copy of its sources."""
    folder = tmp_path_factory.mktemp("documentation")
    for name in SOURCES:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    subprocess.run(
        [Path(sys.executable).parent / "zensical", "build", "--strict", "--clean"],
        check=True,
        cwd=folder,
        timeout=120,
    )
    return folder / "var" / "docs"


def test_the_site_builds_without_a_warning_and_has_a_page_for_each_source(built: Path) -> None:
    sources = {
        path.relative_to(ROOT / "docs").with_suffix(".html")
        for path in (ROOT / "docs").rglob("*.md")
    }
    pages = {path.relative_to(built) for path in built.rglob("*.html")}
    assert sources <= pages
    assert "var/docs" in (ROOT / "Makefile").read_text()


def test_no_page_loads_anything_from_another_server(built: Path) -> None:
    for page in built.rglob("*.html"):
        text = page.read_text()
        assert not LOADED.findall(text), page
    for sheet in built.rglob("*.css"):
        assert "url(http" not in sheet.read_text(), sheet


def test_search_needs_no_server(built: Path) -> None:
    """From file:// a page may not fetch: the index is a script, and the worker a frame."""
    assert (built / "search.js").stat().st_size > 10_000
    assert "assets/iframe-worker.js" in (built / "index.html").read_text()
    assert (built / "assets" / "iframe-worker.js").is_file()


@pytest.mark.django_db
def test_the_demo_serves_it(built: Path, settings: Settings, client: Client) -> None:
    settings.DOCS_ROOT = built
    page = client.get(reverse("documentation"))
    assert page.status_code == 200
    assert b"LaunchDarkly targeting" in b"".join(page)
    policy = page["Content-Security-Policy"]
    assert "script-src 'self' 'sha256-" in policy
    script = next(rule for rule in policy.split(";") if "script-src" in rule)
    assert "unsafe" not in script
    inner = client.get("/docs/developers/flags.html")
    assert inner.status_code == 200
    style = client.get("/docs/assets/docs.css")
    assert style["Content-Type"].startswith("text/css")
    assert client.get("/docs/there-is-none.html").status_code == 404
    assert client.get(f"/docs/{'9' * 300}").status_code == 404
    assert client.post(reverse("documentation")).status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["../db.sqlite3", "..%2fdb.sqlite3", "%2e%2e/db.sqlite3"])
def test_nothing_outside_of_it_is_served(
    path: str, tmp_path: Path, settings: Settings, client: Client
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.html").write_text("the start")
    (tmp_path / "db.sqlite3").write_text("secret")
    settings.DOCS_ROOT = tmp_path / "docs"
    response = client.get(f"/docs/{path}")
    assert response.status_code == 400
    assert b"secret" not in response.content


@pytest.mark.django_db
def test_where_it_is_not_built_the_page_shows_how(
    tmp_path: Path, settings: Settings, client: Client
) -> None:
    settings.DOCS_ROOT = tmp_path
    response = client.get(reverse("documentation"))
    assert response.status_code == 404
    assert "make docs" in response.content.decode()


@pytest.mark.django_db
def test_the_footer_leads_there(client: Client) -> None:
    page = client.get(reverse("login")).content.decode()
    assert f'href="{reverse("documentation")}"' in page
    assert f'href="{reverse("api:docs")}"' in page
