"""How commands end where the database is away, somebody interrupts, or nobody reads: one line, no traceback."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.management import get_commands, load_command_class
from django.db import OperationalError, connection
from pytest_django.fixtures import Settings

from featureflags.management.command import INTERRUPTED, READER_LEFT, FlagCommand
from tests.conftest import FlagFile
from tests.featureflags.management.conftest import Call

APP_OF: Final = {
    name: app for name, app in get_commands().items() if app in {"config", "featureflags", "users"}
}
OURS: Final = sorted(APP_OF.keys() - {"reset_second_factor"})
"""Without the one that needs apps which the tests do not install."""
KEY: Final = str(uuid.UUID(int=1))
ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "capture_triggers": ("--check",),
    "check_segments": ("--lint",),
    "compare_segments": ("employee", "user"),
    "create_api_key": ("shop", "--scope", "evaluate"),
    "evaluate_flag": ("x", "--user", KEY),
    "explain_flag": ("x", KEY),
    "explain_segment": ("employee", KEY),
    "flags_using": ("employee",),
    "import_segments": ("FILE",),
    "invalidate_contexts": ("--everything",),
    "promote_segments": ("other",),
    "segment_members": ("employee",),
    "show_context": (KEY,),
}
WITHOUT_IT: Final = {
    # They show what LaunchDarkly's SDK knows, or what the cache and the key alone give.
    *("evaluate_flag", "launchdarkly_status", "list_flags", "show_context"),
}


def away(*_arguments: object) -> None:
    raise OperationalError("connection timeout expired\nand more that nobody needs")


@pytest.mark.django_db
@pytest.mark.parametrize("name", OURS)
def test_a_database_that_is_away_is_one_sentence(
    name: str, call: Call, flag_file: FlagFile, settings: Settings, tmp_path: Path
) -> None:
    flag_file()
    file = tmp_path / "segments.json"
    file.write_text('{"segments": {}}')
    arguments = [str(file) if each == "FILE" else each for each in ARGUMENTS.get(name, ())]
    with connection.execute_wrapper(away):
        ended = call(name, *arguments)
    if name in WITHOUT_IT:
        assert ended.error is None
        return
    assert ended.error is not None
    assert "\n" not in ended.error
    assert "There is no" not in ended.error


def test_every_command_of_ours_ends_as_this_base_does() -> None:
    for name, app in APP_OF.items():
        assert isinstance(load_command_class(app, name), FlagCommand), name


class Doing(FlagCommand):
    """Does what it was made with."""

    def __init__(self, act: Any) -> None:
        super().__init__()
        self.act = act

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.act(self)


def interrupted(_command: FlagCommand) -> None:
    raise KeyboardInterrupt


@pytest.mark.django_db
def test_an_interrupted_command_ends_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Doing(interrupted).run_from_argv(["manage.py", "doing"])
    assert ended.value.code == INTERRUPTED == 130
    assert capsys.readouterr().err == "Interrupted.\n"


@pytest.mark.django_db
@pytest.mark.parametrize("lines", [1, 100_000], ids=["what fits the buffer", "more"])
def test_a_reader_that_has_left_ends_a_command_in_silence(
    lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", closed)
        command = Doing(lambda command: [command.stdout.write("x") for _ in range(lines)])
        with pytest.raises(SystemExit) as ended:
            command.run_from_argv(["manage.py", "doing"])
    assert ended.value.code == READER_LEFT == 141
    assert capsys.readouterr().err == ""
