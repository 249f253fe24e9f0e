"""The percentage of a rule in SQL equals Python's, which equals LaunchDarkly's."""

from __future__ import annotations

import os

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from featureflags.audience.sizes import segment_sizes
from featureflags.audience.sql.compiler import compile_segment
from featureflags.audience.sql.percentages import NO_HASH, NO_INTEGER, NO_TEXT, Hashes, hashes_of
from featureflags.contexts.attributes import attributes_of
from featureflags.kinds.registry import user_kind
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.percentages import WHOLE
from featureflags.segments.ruleset import Ruleset
from tests.featureflags.audience.sql.people import NOW, create_people
from tests.featureflags.segments.proof import PROOF
from users.models import User

EVERYBODY = Clause(attribute="key", op="exists", values=(True,))
WEIGHTS = st.one_of(st.integers(1, WHOLE - 1), st.sampled_from([0, 1, 50_000, WHOLE]))
ATTRIBUTES = {
    **dict.fromkeys(("", "key", "email", "email_domain", "name", "role", "groups", "is_staff")),
    **dict.fromkeys(("created_at", "account_age_days", "kind", "anonymous", "unheard_of", "_meta")),
    **dict.fromkeys(("custom_a", "custom_2024", "custom_o", "custom_none", 'custom_q"x')),
    "/custom_o/x": "user",
    "/custom_o/0": "user",
}
FINISHED = {"created_at", "account_age_days"}
"""Attributes that Python must read."""


WITH_SHA_1 = "GUIDON_TEST_PGCRYPTO"
"""Set: the PostgreSQL at hand has the extension."""


@pytest.fixture
def hashes(db: None) -> Hashes:
    """SQLite, PostgreSQL without its extension, and in a run of their own PostgreSQL with it."""
    del db
    if os.environ.get(WITH_SHA_1):
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION pgcrypto")
    expected = {"sqlite": Hashes.SQLITE, "postgresql": Hashes.NONE}[connection.vendor]
    found = hashes_of("default")
    assert found == (Hashes.POSTGRESQL if os.environ.get(WITH_SHA_1) else expected)
    return found


def definition(key: str, salt: str, weight: int, bucket_by: str) -> SegmentDefinition:
    rule = Rule(
        clauses=(EVERYBODY,),
        weight=weight,
        bucket_by=bucket_by,
        rollout_context_kind=ATTRIBUTES[bucket_by],
    )
    return SegmentDefinition(key=key, rules=(rule,), salt=salt)


def test_members_and_counts_are_those_of_python(hashes: Hashes) -> None:
    create_people(lists=True)
    people = {row.key: attributes_of(row, NOW) for row in user_kind().snapshots(User.objects.all())}
    reasons: set[str] = set()
    seen = {True: 0, False: 0}

    @PROOF
    @given(
        st.text(alphabet="aé.'%\\", min_size=1, max_size=5),
        st.text(alphabet="aé.'%\\", max_size=5),
        WEIGHTS,
        st.sampled_from(sorted(ATTRIBUTES)),
    )
    def prove(key: str, salt: str, weight: int, bucket_by: str) -> None:
        found = definition(key, salt, weight, bucket_by)
        ruleset = Ruleset([found])
        members = {user for user, known in people.items() if ruleset.matches(key, known, now=NOW)}
        compiled = compile_segment(ruleset, key, now=NOW)
        surely, at_most = _keys(compiled.lower), _keys(compiled.upper)
        assert surely <= members <= at_most
        if compiled.exact:
            assert surely == members
        reasons.update(compiled.why_inexact)
        seen[True] += len(members)
        seen[False] += len(people) - len(members)
        [size] = segment_sizes(now=NOW, ruleset=ruleset, finish=True).sizes
        assert size.count == len(members)
        assert len(User.objects.in_segment(found, now=NOW)) == len(members)

    prove()
    assert min(seen.values()) > sum(seen.values()) / 20
    expected = {
        Hashes.SQLITE: {NO_TEXT, NO_INTEGER},
        Hashes.POSTGRESQL: {NO_TEXT},
        Hashes.NONE: {NO_TEXT, NO_HASH},
    }
    assert reasons == expected[hashes]


def _keys(condition: object) -> set[str]:
    return {
        str(pk) for pk in User.objects.filter(condition).order_by().values_list("pk", flat=True)
    }


@pytest.mark.parametrize("bucket_by", ["", "email", "custom_a"])
def test_a_tenth_is_counted_exactly_where_the_database_has_sha_1(
    hashes: Hashes, bucket_by: str
) -> None:
    create_people(lists=True)

    compiled = compile_segment(Ruleset([definition("s", "", 10_000, bucket_by)]), "s", now=NOW)

    if hashes is Hashes.POSTGRESQL or (hashes is Hashes.SQLITE and bucket_by != "custom_a"):
        assert compiled.exact
    else:
        assert set(compiled.why_inexact) == {NO_HASH if hashes is Hashes.NONE else NO_INTEGER}


def test_many_segments_ask_once_whether_the_database_has_sha_1(hashes: Hashes) -> None:
    segments = [definition(f"s{n}", "", 10_000, "") for n in range(30)]

    with CaptureQueriesContext(connection) as captured:
        counted = segment_sizes(now=NOW, ruleset=Ruleset(segments), finish=False)

    assert len(counted.sizes) == 30
    asked = [query for query in captured if "TO_REGPROCEDURE" in query["sql"]]
    assert len(asked) == (0 if hashes is Hashes.SQLITE else 1)
