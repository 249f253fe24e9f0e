"""The page "In an existing project": another project adopts the wheel by it, and removes it again.

The shop is in `tests/shop`: a user model with integer keys, its own Celery, and 51 people who were
there before. Its apps are called `users` and `config`, as ours are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.services.waiting import wait_until
from tests.wheel import page
from tests.wheel.shop import Ask, Shop, adopted_shop, psql

pytestmark = pytest.mark.production_stack

MOST_LINES = 12
LOOK_SECONDS = 0.1


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with adopted_shop(tmp_path_factory.mktemp("shop")) as adopted:
        yield adopted


@pytest.fixture(scope="module")
def ask(shop: Shop) -> Iterator[Ask]:
    with shop.asking() as ask:
        yield ask


def test_the_page_adds_few_lines_and_one_file() -> None:
    assert len(page.added_lines()) <= MOST_LINES
    assert page.removed_lines() == []
    assert list(page.new_files()) == ["users/kinds.py"]


def test_no_model_and_no_row_of_the_shop_has_changed(shop: Shop) -> None:
    shop.manage("makemigrations", "--check", "--dry-run")
    ours = {name for name in shop.holds() - shop.before if "featureflags" not in name}
    assert not [name for name in ours if name.startswith(("relation users_", "column users_"))]


def test_answers_for_a_loaded_person_and_by_key(ask: Ask) -> None:
    found = ask("answer")
    assert found["key"] == "42"
    assert (found["loaded"], found["by_key"]) == (True, True)
    assert (found["another"], found["nobody"]) == (False, False)
    assert found["degraded"] == []
    attributes = found["attributes"]
    assert (attributes["key"], attributes["username"]) == ("42", "person42")
    assert (attributes["plan"], attributes["company"], attributes["seats"]) == ("pro", "Acme", 80)
    assert {"large_company", "pro_of_large_company"} <= set(attributes["segments"])


def test_a_company_is_a_context_of_its_own(ask: Ask) -> None:
    found = ask("planner")
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


def test_sql_and_memory_name_the_same_rows(ask: Ask) -> None:
    found = ask("compare")
    assert {key: sorted(pair[0]) for key, pair in found.items()} == {
        key: pair[1] for key, pair in found.items()
    }
    assert len(found["large_company"][0]) == 17
    assert len(found["support"][0]) == 5
    assert found["large_organization"][0] == ["1"]


def test_sql_and_memory_agree_on_every_attribute(ask: Ask) -> None:
    found = ask("prove")
    assert found["differ"] == []
    assert found["tried"] > 100


def test_each_write_of_a_related_row_is_seen(ask: Ask) -> None:
    assert ask("change") == {
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


def test_a_write_of_psql_is_seen_within_seconds(shop: Shop, ask: Ask) -> None:
    """It moves a person, a company, and a person by their company."""
    seen = {"person": True, "company": True, "person of the company": True}
    assert ask("answers") == seen
    for statements, changed in (
        ([PROFILE.format("free")], {"person": False}),
        ([COMPANY.format(8)], {"company": False, "person of the company": False}),
        ([COMPANY.format(80), PROFILE.format("pro")], dict.fromkeys(seen, True)),
    ):
        for statement in statements:
            psql(shop.postgres, statement)
        seen.update(changed)
        wait_until(lambda: ask("answers") == seen, what=f"{seen}", pause=LOOK_SECONDS)


def test_every_page_opens(ask: Ask) -> None:
    statuses = ask("open_pages")
    assert {page for page, status in statuses.items() if status != 200} == set()


def test_the_tasks_are_those_of_the_shop_s_own_celery(ask: Ask) -> None:
    assert ask("list_tasks") == {"known": True, "lacking": [], "counted": True}


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


def await_company(ask: Ask, company: dict[str, Any]) -> dict[str, Any]:
    """What a release says of person 42, once it says so of their company."""
    names = ("name", "seats", "size")
    seen: dict[str, Any] = {}

    def is_seen() -> bool:
        seen.update(ask("describe"))
        declared = {name: seen["organization"].get(name) for name in names}
        return declared == {**dict.fromkeys(names), **company}

    wait_until(is_seen, what=f"{company}", pause=LOOK_SECONDS)
    return seen


def test_an_old_and_a_new_release_serve_side_by_side(shop: Shop, ask: Ask) -> None:
    """Each reads what it declares, also where the other has filled the cache or writes."""
    new = next_release(shop)
    psql(shop.postgres, "UPDATE users_user SET last_name = 'de' WHERE id = 42")
    new.manage("migrate", "--verbosity=0")
    with new.asking() as ask_new:
        for plan, seats in (("free", 81), ("pro", 80)):
            psql(shop.postgres, PROFILE.format(plan))
            psql(shop.postgres, COMPANY.format(seats))
            for _ in range(2):
                seen = await_company(ask, {"name": "Acme", "seats": seats})
                assert (seen["plan"], seen["country"], seen.get("tier")) == (plan, "FR", None)
                assert "language" not in seen
                seen = await_company(ask_new, {"size": seats})
                assert (seen["tier"], seen["language"], seen.get("plan")) == (plan, "de", None)
                assert "country" not in seen
        assert ask_new("describe")["source"] == "cache"


def test_z_it_can_be_removed_again(shop: Shop) -> None:
    """The last one: what is left is what was there before."""
    shop.manage("migrate", "featureflags", "zero", "--verbosity=0")
    assert shop.holds() == shop.before
