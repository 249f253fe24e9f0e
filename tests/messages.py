"""`make messages`: the texts of `featureflags`, in English, as a translation begins with them.

python -m tests.messages      writes featureflags/locale/en/LC_MESSAGES/django.po
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
CATALOGUE: Final = Path("featureflags/locale/en/LC_MESSAGES/django.po")
HEADER: Final = """\
# The texts of featureflags in English, as they stand in the code: what a translation begins with.
# `make messages` writes this file; a test holds it to the code.
msgid ""
msgstr ""
"Project-Id-Version: guidon\\n"
"Language: en\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"""
"""Without the date that gettext writes: the file changes when a text does."""
HAS_GETTEXT: Final = all(shutil.which(name) for name in ("xgettext", "msgmerge", "msgfmt"))


def texts() -> str:
    """The catalogue of what is marked in the code and the templates. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "featureflags"
        shutil.copytree(
            ROOT / "featureflags", copy, ignore=shutil.ignore_patterns("locale", "*.pyc")
        )
        (copy / "locale").mkdir()
        command = ["-m", "django", "makemessages", "--locale=en", "--no-location", "--no-wrap"]
        # Outside of a project, as for any app.
        env = {name: text for name, text in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        subprocess.run(
            [sys.executable, *command], cwd=copy, env=env, check=True, capture_output=True
        )
        written = (Path(folder) / CATALOGUE).read_text()
    # The first entry is gettext's own header.
    _header, _blank, entries = written.partition("\n\n")
    return f"{HEADER}\n{entries}"


def main() -> int:
    if not HAS_GETTEXT:
        print("It needs gettext: apt-get install gettext", file=sys.stderr)
        return 1
    (ROOT / CATALOGUE).write_text(texts())
    print(f"{CATALOGUE} is written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
