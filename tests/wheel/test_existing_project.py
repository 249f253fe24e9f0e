"""The page "In an existing project": another project adopts the wheel by it, and removes it again.

The shop is in `tests/shop`: a user model with integer keys, its own Celery, and 51 people who were
there before. Its apps are called `users` and `config`, as ours are.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.wheel import page
from tests.wheel.shop import Shop, adopted_shop, psql

pytestmark = pytest.mark.production_stack

MOST_LINES = 12
SEEN_WITHIN = 5.0
"""Seconds until a write of another program is seen."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with adopted_shop(tmp_path_factory.mktemp("shop")) as adopted:
        yield adopted


def test_the_page_adds_few_lines_and_one_file() -> None:
    assert len(page.added_lines()) <= MOST_LINES
    assert page.removed_lines() == []
    assert list(page.new_files()) == ["users/kinds.py"]


def test_no_model_and_no_row_of_the_shop_has_changed(shop: Shop) -> None:
    shop.manage("makemigrations", "--check", "--dry-run")
    ours = {name for name in shop.holds() - shop.before if "featureflags" not in name}
    assert not [name for name in ours if name.startswith(("relation users_", "column users_"))]


def test_answers_for_a_loaded_person_and_by_key(shop: Shop) -> None:
    found = shop.ask("answer")
    assert found["key"] == "42"
    assert (found["loaded"], found["by_key"]) == (True, True)
    assert (found["another"], found["nobody"]) == (False, False)
    assert found["degraded"] == []
    attributes = found["attributes"]
    assert (attributes["key"], attributes["username"]) == ("42", "person42")
    assert (attributes["plan"], attributes["company"], attributes["seats"]) == ("pro", "Acme", 80)
    assert {"large_company", "pro_of_large_company"} <= set(attributes["segments"])


def test_a_company_is_a_context_of_its_own(shop: Shop) -> None:
    found = shop.ask("planner")
    attributes = found.pop("attributes")
    assert found == {
        "acme": True,
        "by_key": True,
        "bolt": False,
        "person of acme": True,
        "person of bolt": False,
        "person of none": False,
    }
    assert (attributes["kind"], attributes["name"], attributes["seats"]) == (
        "organization",
        "Acme",
        80,
    )
    assert attributes["segments"] == ["large_organization"]


def test_sql_and_memory_name_the_same_rows(shop: Shop) -> None:
    found = shop.ask("compare")
    assert {key: sorted(pair[0]) for key, pair in found.items()} == {
        key: pair[1] for key, pair in found.items()
    }
    assert len(found["large_company"][0]) == 17
    assert len(found["support"][0]) == 5
    assert found["large_organization"][0] == ["1"]


def test_sql_and_memory_agree_on_every_attribute(shop: Shop) -> None:
    found = shop.ask("prove")
    assert found["differ"] == []
    assert found["tried"] > 100


def test_each_write_of_a_related_row_is_seen(shop: Shop) -> None:
    assert shop.ask("change") == {
        "before": True,
        "profile": False,
        "update": True,
        "company": False,
        "raw SQL": True,
        "no order": False,
        "order": True,
        "moved away": False,
        "moved here": True,
        "deleted": False,
        "team": True,
        "left": False,
    }


PROFILE = "UPDATE users_profile SET plan = '{}' WHERE user_id = 42"
COMPANY = "UPDATE users_company SET seats = {} WHERE name = 'Acme'"


@pytest.mark.parametrize(
    ("flag", "subject", "statement", "values"),
    [
        ("team-checkout", "42", PROFILE, ("free", "pro")),
        ("seat-planner", "organization:1", COMPANY, (8, 80)),
        ("seat-planner", "42", COMPANY, (8, 80)),
    ],
)
def test_a_write_of_psql_is_seen_within_seconds(
    shop: Shop, flag: str, subject: str, statement: str, values: tuple[object, object]
) -> None:
    """It moves a person, a company, and a person by their company."""
    watching = subprocess.Popen(
        [str(shop.installed.python), "shop_program.py", "watch", flag, subject],
        stdout=subprocess.PIPE,
        text=True,
        cwd=shop.folder,
        env=shop.installed.variables(shop.env),
    )
    try:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "true\n"
        for value, expected in zip(values, ("false\n", "true\n"), strict=True):
            psql(shop.postgres, statement.format(value))
            # The program that watches gives up after a minute.
            assert watching.stdout.readline() == expected
    finally:
        watching.kill()
        watching.communicate()


def test_every_page_opens(shop: Shop) -> None:
    statuses = shop.ask("open_pages")
    assert {page for page, status in statuses.items() if status != 200} == set()


def test_the_tasks_are_those_of_the_shop_s_own_celery(shop: Shop) -> None:
    assert shop.ask("list_tasks") == {"known": True, "lacking": [], "counted": True}


def next_release(shop: Shop) -> Shop:
    """The shop with another declaration: an attribute more, one renamed, one gone; of companies too."""
    folder = shop.folder.parent / "next"
    shutil.copytree(shop.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "users" / "kinds.py"
    text = path.read_text()
    for old, new in {
        '    plan = Text("profile__plan")\n': '    tier = Text("profile__plan")\n',
        '    country = Text("profile__country", blank_is_missing=True)\n': "",
        '    username = Text("username")\n': '    username = Text("username")\n'
        '    language = Text("last_name")\n',
        '    name_ = Text("name")\n    seats = Number("seats")\n': '    size = Number("seats")\n',
    }.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    return replace(shop, folder=folder)


def company_of(seen: dict[str, Any]) -> dict[str, Any]:
    """The declared attributes of the company."""
    names = ("name", "seats", "size")
    return {name: seen["organization"][name] for name in names if name in seen["organization"]}


def test_an_old_and_a_new_release_serve_side_by_side(shop: Shop) -> None:
    """Each reads what it declares, also where the other has filled the cache or writes."""
    new = next_release(shop)
    psql(shop.postgres, "UPDATE users_user SET last_name = 'de' WHERE id = 42")
    new.manage("migrate", "--verbosity=0")
    for plan, seats in (("free", 81), ("pro", 80)):
        psql(shop.postgres, PROFILE.format(plan))
        psql(shop.postgres, COMPANY.format(seats))
        time.sleep(SEEN_WITHIN)
        for _ in range(2):
            seen = shop.ask("describe")
            assert (seen["plan"], seen["country"], seen.get("tier")) == (plan, "FR", None)
            assert "language" not in seen
            assert company_of(seen) == {"name": "Acme", "seats": seats}
            seen = new.ask("describe")
            assert (seen["tier"], seen["language"], seen.get("plan")) == (plan, "de", None)
            assert "country" not in seen
            assert company_of(seen) == {"size": seats}
    assert new.ask("describe")["source"] == "cache"


def test_z_it_can_be_removed_again(shop: Shop) -> None:
    """The last one: what is left is what was there before."""
    shop.manage("migrate", "featureflags", "zero", "--verbosity=0")
    assert shop.holds() == shop.before
