"""What `featureflags` knows of users is declared in `kinds.py`: no other code of it names their columns."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest
from django.apps import apps
from django.contrib.auth.models import AbstractUser

from tests.architecture.sources import ROOT, modules
from users.kinds import UserKind
from users.models import User

OF_ACCOUNTS: Final = {
    "is_active",
    "is_staff",
    "is_superuser",
    "groups",
    "user_permissions",
    "password",
}
"""What Django's permissions and admin ask of an account. An account without one must do: `tests/unlike` has none."""
MEANS_ANOTHER_THING: Final = {"key", "metadata", "name", "role"}
"""Also of contexts, of flags' answers, of segments, and of servers of Redis and elements of a page."""
ALLOWED: Final = {
    "featureflags/kinds/registry.py": "the kind of Django's own user, for a project without a kinds.py",
    "featureflags/migrations/0002_default_segments.py": "segments only where the kind has their attributes",
    "featureflags/core/conf.py": "LaunchDarkly's own `email` is private unless the settings say otherwise",
    "featureflags/core/settings_check.py": "an example of that setting",
    "featureflags/editing/member_files.py": "what the column of titles may be called in a file",
    "featureflags/api/serializers.py": "an example of the API",
    "featureflags/api/members.py": "examples of the API",
    "featureflags/api/segment_numbers.py": "an example of the API",
    "featureflags/launchdarkly/rest/transport.py": "the part of a URL before the @",
}
WORD: Final = re.compile(r"\w+")


def names_of_users() -> set[str]:
    """Columns and attributes of this project's users and of Django's own, and the name of the table."""
    models = apps.get_app_config("featureflags").get_models()
    ours = {field.name for model in models for field in model._meta.fields}
    names = {field.name for model in (User, AbstractUser) for field in model._meta.fields}
    names |= {*UserKind.declared, User._meta.db_table, "group_names"}
    return names - ours - OF_ACCOUNTS - MEANS_ANOTHER_THING


def words_of(tree: ast.Module) -> Iterator[str]:
    """Each attribute and argument that the code names, and each word of its texts but docstrings."""
    documented = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield from node.arg.split("__")
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documented
        ):
            for word in WORD.findall(node.value):
                yield from (word, *word.split("__"))


@pytest.mark.pure
def test_no_code_names_columns_of_users() -> None:
    names = names_of_users()
    found = {
        path: sorted(named)
        for path, tree in modules().items()
        if path.startswith("featureflags/") and path not in ALLOWED
        if (named := names.intersection(words_of(tree)))
    }

    assert {"email_verified", "last_seen_at", "date_joined", "email"} <= names
    assert found == {}


@pytest.mark.pure
def test_no_page_names_columns_of_users() -> None:
    names = names_of_users() - {"email"}  # the browser's own word for a field of a form
    pages = [
        *(ROOT / "featureflags/templates").rglob("*"),
        *(ROOT / "featureflags/static").rglob("*.js"),
    ]
    found = {
        page.name: sorted(named)
        for page in pages
        if page.is_file() and (named := names.intersection(WORD.findall(page.read_text())))
    }

    assert found == {}
