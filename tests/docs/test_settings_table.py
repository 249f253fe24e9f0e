"""The tables of variables are those of the code, and each variable has its words."""

from __future__ import annotations

from tests.docs import settings_table
from tests.docs.settings_table import PAGE, described, page_with, readings, tables


def test_the_page_is_as_the_code_says() -> None:
    assert PAGE.read_text() == page_with(tables()), "run: python -m tests.docs.settings_table"


def test_each_variable_has_a_row_with_its_meaning() -> None:
    rows = {line.split("`")[1]: line for line in tables().splitlines() if line.startswith("| `")}
    assert set(rows) == {each.name for each in described()}
    assert all(not line.endswith("|  |") for line in rows.values())


def test_type_default_and_range_come_from_the_code() -> None:
    rows = {line.split("`")[1]: line for line in tables().splitlines() if line.startswith("| `")}
    for name, cells in {
        "LAUNCHDARKLY_POLL_SECONDS": "number | `30.0` | at least 30",
        "CONFIRM_PERCENT": "number | `10.0` | 0 to 100",
        "LAUNCHDARKLY_SEGMENTS_AS": "text | `both` | `list`, `object`, `both`",
        "LAUNCHDARKLY_SPARE_URL": "address | that of `REDIS_URL` | ",
        "STAFF_TOTP": "true or false | `false` | ",
        "WEB_CONCURRENCY": "whole number | `3` | ",
        "CACHE_MAXMEMORY": "text | `512mb` | ",
        "SNAPSHOT_SECONDS": "whole number | `86400` | at least 0",
    }.items():
        assert rows[name].startswith(f"| `{name}` | {cells}"), rows[name]


def test_every_number_of_featureflags_has_its_range() -> None:
    for name, reading in readings().items():
        if reading.setting and reading.type in {"number", "whole number"}:
            assert settings_table.allowed(reading, name), name
