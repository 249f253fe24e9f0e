"""fresh_rows: past django-cachalot, and back to it whatever happens."""

from __future__ import annotations

import pytest
from django.core.cache import caches
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from featureflags.cache import compiled_rules
from featureflags.core.uncached import fresh_rows
from featureflags.models import Segment

pytestmark = pytest.mark.django_db(transaction=True)


def queries() -> int:
    with CaptureQueriesContext(connection) as found:
        list(Segment.objects.all())
    return len(found)


def test_within_it_each_read_asks_the_database() -> None:
    assert [queries(), queries()] == [1, 0]
    with fresh_rows():
        assert [queries(), queries()] == [1, 1]
    assert queries() == 0


def test_an_exception_does_not_switch_cachalot_off() -> None:
    queries()
    with pytest.raises(LookupError), fresh_rows():
        raise LookupError
    assert queries() == 0


def test_compiled_rules_come_past_cachalot() -> None:
    queries()
    compiled_rules.forget_loaded()
    with CaptureQueriesContext(connection) as found:
        compiled_rules.current_ruleset()
    assert any('FROM "featureflags_segment"' in query["sql"] for query in found)


def test_a_transaction_that_could_not_begin_keeps_no_rows_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows that the thread would keep for as long as it lives, whatever others write."""
    with monkeypatch.context() as away:
        connection.close()
        away.setitem(connection.settings_dict, "NAME", "/nowhere/at-all")
        for _ in range(2):
            with pytest.raises(OperationalError), transaction.atomic():
                pytest.fail("it has begun")
    assert [queries(), queries()] == [1, 0]
    caches["cachalot"].clear()
    assert queries() == 1
    with transaction.atomic():
        queries()
        with pytest.raises(LookupError), transaction.atomic():
            raise LookupError
    assert queries() == 0
