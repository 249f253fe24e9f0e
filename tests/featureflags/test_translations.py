"""The texts of the package can be translated: all of them are in the catalogue, and a translation is used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from django.utils import translation
from pytest_django.fixtures import Settings

from featureflags.core import i18n
from featureflags.models import Segment
from featureflags.segments.operator_labels import OPERATORS
from tests import messages

pytestmark = pytest.mark.skipif(not messages.HAS_GETTEXT, reason="gettext is not installed")

GERMAN = """
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\nPlural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "segments"
msgstr "Segmente von Nutzern"

msgid "starts with"
msgstr "beginnt mit"
"""


def test_the_catalogue_holds_the_texts_of_the_code() -> None:
    stored = (messages.ROOT / messages.CATALOGUE).read_text()
    assert stored == messages.texts(), "run `make messages`"


def test_a_translation_of_the_project_is_used(settings: Settings, tmp_path: Path) -> None:
    """In rooms of Django and in those without a framework."""
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").write_text(GERMAN)
    subprocess.check_call(["msgfmt", "--output-file=django.mo", "django.po"], cwd=folder)
    settings.LOCALE_PATHS = [str(tmp_path)]
    with translation.override("de"):
        assert str(Segment._meta.verbose_name_plural) == "Segmente von Nutzern"
        assert i18n.gettext(OPERATORS["startsWith"].label) == "beginnt mit"
    assert str(Segment._meta.verbose_name_plural) == "segments"
