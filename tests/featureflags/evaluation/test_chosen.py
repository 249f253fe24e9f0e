"""Some flags by one question to the SDK: the same answers as one question for each."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from featureflags.contexts.results import Evaluation
from featureflags.evaluation import UNSET, looking, override_flag
from featureflags.evaluation.evaluate import evaluate_chosen, evaluate_one
from featureflags.evaluation.resolve import resolve
from featureflags.launchdarkly.client import feature_store
from tests.clients.flags import flags
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, prerequisite

pytestmark = pytest.mark.django_db
NOBODY = "http://127.0.0.1:9"
KEYS = [*(flag["key"] for flag in flags()), "no-such-flag", "behind-another"]


@pytest.fixture(autouse=True)
def some_flags(flag_file: FlagFile) -> None:
    behind = boolean_flag("behind-another", prerequisites=[prerequisite("new-checkout", 0)])
    flag_file(*flags(), behind)


def both(keys: list[str], subject: Any) -> tuple[list[Evaluation], list[Evaluation]]:
    with looking():
        context = resolve(subject)
        return evaluate_chosen(keys, context), [
            evaluate_one(key, context, UNSET, None) for key in keys
        ]


def test_the_same_answers_in_the_order_of_the_question() -> None:
    for employee in (True, False):
        chosen, one_by_one = both(KEYS, UserFactory.create(employee=employee))
        assert chosen == one_by_one
        assert [found.flag for found in chosen] == KEYS
    chosen, one_by_one = both(KEYS, "6d0c3a52-0000-4000-8000-000000000000")
    assert chosen == one_by_one


def test_overrides_and_missing_flags_too() -> None:
    user = UserFactory.create(employee=True)
    with override_flag("colour", "teal"), override_flag("new-checkout", missing=True):
        chosen, one_by_one = both(KEYS, user)
        assert chosen == one_by_one
        values = {found.flag: found.value for found in chosen}
        assert (values["colour"], values["new-checkout"]) == ("teal", False)
    with override_flag("new-checkout", False):
        chosen, one_by_one = both(["behind-another"], user)
        assert [found.reason["kind"] for found in chosen] == ["PREREQUISITE_FAILED"]
        assert chosen == one_by_one


def test_flags_that_are_not_chosen_are_not_evaluated(flag_file: FlagFile) -> None:
    """Their price would be paid for each subject."""
    asked: list[int] = []
    store: Any = feature_store()
    every = store.all

    def counted(kind: Any, callback: Any = lambda found: found) -> Any:
        found = every(kind, callback)
        asked.append(len(found))
        return found

    store.all = counted
    try:
        both(["colour"], UserFactory.create())
    finally:
        del store.all
    assert asked == [1]


def test_without_flags_the_answer_says_so(settings: Settings) -> None:
    use(settings, SOURCE="streaming", SDK_KEY="sdk-key", START_WAIT=0.0, STREAM_URI=NOBODY)
    for found in both(["colour"], UserFactory.create()):
        assert (found[0].value, found[0].degraded) == (None, ("launchdarkly_unavailable",))
