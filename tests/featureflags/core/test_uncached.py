"""fresh_rows: past django-cachalot, and back to it whatever happens."""

from __future__ import annotations

import pytest
from django.db import connection
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
