"""System checks: each id, by a project that has the mistake and one that has not."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.checks import CheckMessage
from django.db.models import F
from pytest_django.fixtures import Settings

from featureflags import checks
from featureflags.checks import configuration
from featureflags.contexts.attributes import Attribute
from featureflags.flags.code_search import (
    Use,
    closest,
    project_uses,
    uses_in_python,
    uses_in_template,
)
from featureflags.flags.declared import Flag, FlagType, declared_flags
from featureflags.kinds.attribute import RelatedColumn
from featureflags.segments.attribute_types import AttributeType
from tests.featureflags.checking import HERE, change
from tests.services.processes import manage

PATH = Path("views.py")


def flag(key: str = "fine", **fields: object) -> Flag:
    values = {"type": FlagType.BOOLEAN, "default": False, "description": "A flag.", "owner": "us"}
    return Flag(key=key, **{**values, **fields})  # type: ignore[arg-type]  # by name, as data


GOOD = [flag(), flag("colour", type=FlagType.STRING, default="red")]

TWICE = [flag(), flag()]

NO_FLAGS = ["new-checkout"]

WRONG_DEFAULT = [flag(default="yes")]

BAD_KEY = [flag("new checkout")]

NO_DESCRIPTION = [flag(description=" ")]

NO_OWNER = [flag(owner="")]

NO_JSON = [flag(type=FlagType.JSON, default={"at": float("nan")})]

A_NUMBER = 7

SHOE_SIZE = Attribute(
    name="shoe_size",
    type=AttributeType.NUMBER,
    label="Shoe size",
    value=lambda _snapshot, _now: 42,
)

OF_NO_COLUMN = replace(SHOE_SIZE, sql=F("shoe_size"))

DAYS_OF_NO_COLUMN = replace(SHOE_SIZE, elapsed_days_since="measured_at")

NO_FEET = RelatedColumn(model=Group, back="feet", column="x")
OF_NO_RELATION = replace(
    SHOE_SIZE, type=AttributeType.LIST, value=lambda _snapshot, _now: [], sql_related=NO_FEET
)


def ids(messages: list[CheckMessage]) -> list[str]:
    return [str(message.id) for message in messages]


def test_the_project_itself_is_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FORCE_FLAG_"):
            monkeypatch.delenv(name)
    messages = [
        *checks.check_declarations(),
        *checks.check_settings(),
        *checks.check_attributes(),
        *checks.check_private_attributes(),
        *checks.check_forced_flags(),
        *checks.check_used_flags(),
        *checks.check_sent_attributes(),
        *checks.check_syncing(),
        *checks.check_middleware(),
        *checks.check_cache(),
    ]
    assert messages == []


def test_the_checks_run_with_every_command(tmp_path: Path) -> None:
    env = {"FORCE_FLAG_NOBODYS": "true", "GUIDON_VAR_DIR": str(tmp_path)}
    ended = manage(env, "check")
    assert ended.returncode == 0
    assert "(featureflags.W005) FORCE_FLAG_NOBODYS" in ended.stderr


@pytest.mark.parametrize("name", ["MISSING", "TWICE", "NO_FLAGS", "WRONG_DEFAULT", "A_NUMBER"])
def test_e001_flags_that_cannot_be_read(settings: Settings, name: str) -> None:
    change(settings, FLAGS=f"{HERE}.{name}")
    (message,) = checks.check_declarations()
    assert message.id == "featureflags.E001"
    assert set(declared_flags()) <= {"fine"}, "what is valid is kept"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("BAD_KEY", "'new checkout' has a key that LaunchDarkly refuses"),
        ("NO_DESCRIPTION", "has no description"),
        ("NO_OWNER", "has no owner"),
        ("NO_JSON", "which JSON cannot express"),
    ],
)
def test_e002_a_flag_that_is_not_in_order(settings: Settings, name: str, why: str) -> None:
    change(settings, FLAGS=f"{HERE}.{name}")
    (message,) = checks.check_declarations()
    assert (message.id, why in str(message.msg)) == ("featureflags.E002", True)
    change(settings, FLAGS=f"{HERE}.GOOD")
    assert checks.check_declarations() == []


@pytest.mark.parametrize("path", ["nowhere.SIZE", f"{HERE}.A_NUMBER"])
def test_e003_attributes_that_cannot_be_read(settings: Settings, path: str) -> None:
    change(settings, ATTRIBUTES=[path])
    assert ids(checks.check_declarations()) == ["featureflags.E003"]


def test_w004_and_w005_forced_flags(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    change(settings, FLAGS=f"{HERE}.GOOD")
    monkeypatch.setenv("FORCE_FLAG_FINE", "true")
    assert checks.check_forced_flags() == []
    monkeypatch.setenv("FORCE_FLAG_FINE", "on")
    monkeypatch.setenv("FORCE_FLAG_COLOUR", "true")
    monkeypatch.setenv("FORCE_FLAG_FYNE", "false")
    found = [
        (message.id, str(message.msg).split(" ")[0]) for message in checks.check_forced_flags()
    ]
    assert found == [
        ("featureflags.W004", "FORCE_FLAG_FINE"),
        ("featureflags.W005", "FORCE_FLAG_COLOUR:"),
        ("featureflags.W005", "FORCE_FLAG_FYNE:"),
    ]


def test_e006_and_w007_flags_that_are_not_declared(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "mails" / "page.html"
    page.parent.mkdir()
    page.write_text("{% load featureflags %}\n{% flag 'fine' %}{% endflag %}\n{% flag 'finee' %}\n")
    (tmp_path / "notes.txt").write_text('{% flag_value "something-else" 1 as x %}')
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path], "APP_DIRS": False}]
    change(settings, FLAGS=f"{HERE}.GOOD")
    mine = [message for message in checks.check_used_flags() if str(tmp_path) in str(message.msg)]
    assert [(message.id, str(message.msg)) for message in mine] == [
        ("featureflags.E006", f"{page}:3: no flag 'finee' is declared. Did you mean 'fine'?"),
        (
            "featureflags.W007",
            f"{tmp_path / 'notes.txt'}:1: the flag 'something-else' is not declared in "
            f"{HERE}.GOOD.",
        ),
    ]


def test_the_projects_own_code_is_read() -> None:
    paths = {use.path for use in project_uses()}
    root = Path(checks.__file__).parents[2]
    assert not any("site-packages" in str(path) or "tests" in path.parts for path in paths)
    assert all(path.is_relative_to(root) for path in paths)


PYTHON = """
import featureflags.evaluation
import featureflags.evaluation as flags
from featureflags import evaluation
from featureflags.decorators import FlagRequiredMixin, flag_required as needs
from featureflags.evaluation import ais_enabled, is_enabled, variation
from somewhere import variation_detail

is_enabled("a")
variation(flag="b", default=1)
evaluation.variation_detail("c", user)
flags.all_flags("not-a-flag")
featureflags.evaluation.is_enabled("d")
flags.avariation("e")
variation_detail("not-ours")
client.variation("not-ours-either")
is_enabled(NEW_CHECKOUT)

@needs("f")
def view(request): ...

class Page(FlagRequiredMixin):
    flag_required = "g"

async def later():
    return await ais_enabled("h")
"""


def test_python_uses_are_found_by_what_the_names_stand_for() -> None:
    found = {use.key: use.line for use in uses_in_python(PYTHON, PATH)}
    assert sorted(found) == ["a", "b", "c", "d", "e", "f", "g", "h"]
    assert (found["a"], found["g"]) == (9, 23)
    assert list(uses_in_python("from featureflags import (", PATH)) == []


TEMPLATE = """{% load featureflags %}
{% flag "a" %}{% endflag %}{%flag 'b' user=ada%}
{% comment %}
{% flag "commented" %}
{% endcomment %}{# {% flag "hidden" %} #}
{% flag_value "c" "blue" as colour %}{% flag key %}
{% verbatim %}{% flag "shown" %}{% endverbatim %}
{% flagged "other" %}
"""


def test_template_uses_are_found_outside_of_comments() -> None:
    found = [(use.key, use.line) for use in uses_in_template(TEMPLATE, PATH)]
    assert found == [("a", 2), ("b", 2), ("c", 6)]


JINJA = """{{ is_enabled("a", request=request) }}
{% if is_enabled( 'b', request=request) and
      variation("c", "blue", user) == "red" %}{# is_enabled("hidden") #}
<script>client.variation("theirs")</script>{{ is_enabled(key) }} is_enabled("text")
{{ not_is_enabled("other") }}
"""


def test_expressions_of_jinja2_ask_for_flags_too() -> None:
    found = [(use.key, use.line) for use in uses_in_template(JINJA, PATH)]
    assert found == [("a", 1), ("b", 2), ("c", 3)]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("new-chekout", "new-checkout"),
        ("new_checkout", "new-checkout"),
        ("newcheckout", "new-checkout"),
        ("old-search", None),
    ],
)
def test_what_counts_as_a_typo(key: str, meant: str | None) -> None:
    assert closest(key, {"new-checkout", "welcome-tour"}) == meant
    assert str(Use(key=key, path=PATH, line=3)) == "views.py:3"


def test_w008_and_e009_the_middleware(settings: Settings) -> None:
    ours, users = configuration.MIDDLEWARE, configuration.AUTHENTICATION
    assert checks.check_middleware() == []
    settings.MIDDLEWARE = [users]
    assert ids(checks.check_middleware()) == ["featureflags.W008"]
    settings.MIDDLEWARE = [ours, users]
    assert ids(checks.check_middleware()) == ["featureflags.E009"]
    settings.MIDDLEWARE = [users, ours]
    assert checks.check_middleware() == []
