"""Spans of OpenTelemetry: one for a check that misses the memo, with the attributes of the conventions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pytest_django.fixtures import Settings

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation import ais_enabled, is_enabled, tracing, variation
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.launchdarkly import boolean_flag

pytestmark = pytest.mark.django_db

exporter = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    """OpenTelemetry takes one provider for the life of a process."""
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(made)


@pytest.fixture
def on(settings: Settings, flag_file: FlagFile) -> Iterator[None]:
    flag_file(boolean_flag("new-checkout", fallthrough=True))
    given = {"TRACING": True, "PROJECT": "shop", "ENVIRONMENT": "production"}
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **given}
    exporter.clear()
    yield
    exporter.clear()


def spans() -> tuple[ReadableSpan, ...]:
    return exporter.get_finished_spans()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.usefixtures("on")
class TestSpans:
    def test_a_check_that_is_remembered_has_none(self) -> None:
        user = UserFactory.create()
        with unit_of_work():
            for _ in range(3):
                assert is_enabled("new-checkout", str(user.pk))
        [span] = spans()
        assert span.name == "feature_flag.evaluation"
        assert (span.end_time or 0) > (span.start_time or 0) > 0
        assert attributes(span) == {
            "feature_flag.key": "new-checkout",
            "feature_flag.provider.name": "LaunchDarkly",
            "feature_flag.context.id": str(user.pk),
            "feature_flag.result.variant": "0",
            "feature_flag.result.reason": "fallthrough",
            "feature_flag.set.id": "shop/production",
            "guidon.source": "database",
        }

    def test_an_answer_that_is_degraded_is_an_error(self) -> None:
        assert variation("internal-tools", UserFactory.create(), default=False) is False
        [span] = spans()
        assert attributes(span)["error.type"] == "flag_not_found"
        assert span.status.status_code is StatusCode.ERROR

    @pytest.mark.django_db(transaction=True)
    async def test_an_awaited_check(self) -> None:
        await ais_enabled("new-checkout", UserFactory.build())
        assert [attributes(span)["feature_flag.key"] for span in spans()] == ["new-checkout"]

    def test_no_private_attribute_is_in_a_span(self) -> None:
        is_enabled("new-checkout", UserFactory.create(email="ada@agpt.co", name="Ada Sentinel"))
        assert "agpt" not in spans()[0].to_json()
        assert "Sentinel" not in spans()[0].to_json()


def test_off_there_are_no_spans(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("new-checkout", fallthrough=True))
    exporter.clear()
    assert is_enabled("new-checkout", UserFactory.create())
    assert not tracing.is_on
    assert spans() == ()
