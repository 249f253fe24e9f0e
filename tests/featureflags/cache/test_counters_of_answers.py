"""How users are found and how sure answers are: of all processes, and not of those who only look."""

from __future__ import annotations

import pytest
from django.test import override_settings
from pytest_django.fixtures import Settings

from config.settings.caches import redis_caches
from featureflags.cache import counters
from featureflags.cache.counters import AnswerCounts
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.contexts.results import ContextSource, Degradation
from featureflags.evaluation import all_flags, is_enabled, looking, variation
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.flag_json import boolean_flag, string_flag
from tests.services.guarded import free_port

pytestmark = pytest.mark.django_db


def counted() -> AnswerCounts:
    assert counters.flush()
    return counters.read_answers(1)


@pytest.mark.django_db(transaction=True)
def test_where_users_are_found(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    user = UserFactory.create()
    is_enabled("beta", str(user.pk))
    for _ in range(3):
        is_enabled("beta", str(user.pk))
    is_enabled("beta", "00000000-0000-4000-8000-000000000000")
    is_enabled("beta", user)
    found = counted()
    assert found.found == {
        ContextSource.CACHE: 3,
        ContextSource.DATABASE: 1,
        ContextSource.BARE: 1,
    }
    assert found.hit_rate == pytest.approx(0.6)


def test_a_unit_that_knows_the_user_asks_no_cache(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    user = UserFactory.create()
    with unit_of_work():
        for _ in range(5):
            is_enabled("beta", str(user.pk))
    assert sum(counted().found.values()) == 1


def test_nobody_was_looked_up() -> None:
    assert counted() == AnswerCounts()
    assert AnswerCounts().hit_rate is None


def test_degraded_answers_by_their_reasons(flag_file: FlagFile, settings: Settings) -> None:
    flag_file(string_flag("new-checkout"), boolean_flag("beta"))
    is_enabled("new-checkout", "ada")
    is_enabled("beta", "ada")
    is_enabled("welcome-tour", "ada")
    variation("typed-by-a-visitor", "ada")
    all_flags("ada")
    assert counted().degraded == {
        Degradation.NO_SUCH_USER: 3,
        Degradation.WRONG_TYPE: 1,
        Degradation.FLAG_NOT_FOUND: 1,
    }


def test_launchdarkly_that_never_answered(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAG_FILE": "/nowhere.json"}
    for _ in range(2):
        is_enabled("new-checkout")
    assert counted().degraded == {Degradation.LAUNCHDARKLY_UNAVAILABLE: 2}


def test_looking_is_not_counted(flag_file: FlagFile) -> None:
    flag_file()
    with looking():
        is_enabled("welcome-tour", str(UserFactory.create().pk))
    assert counted() == AnswerCounts()


def test_what_the_cache_does_not_take_is_kept(flag_file: FlagFile) -> None:
    flag_file()
    with override_settings(CACHES=redis_caches(f"redis://127.0.0.1:{free_port()}/0")):
        counters.count_degraded("beta", [Degradation.USER_STALE])
        assert not counters.flush()
        assert counters.read_answers(1).failed
    counters.count_degraded("beta", [Degradation.USER_STALE])
    assert counted().degraded == {Degradation.USER_STALE: 2}


def test_what_another_release_counted_is_left_out() -> None:
    counters.flag_answers.pending["degraded:by-aliens"] = 1
    counters.flag_answers.pending["found:cache"] = 2
    assert counted() == AnswerCounts(found={ContextSource.CACHE: 2})
