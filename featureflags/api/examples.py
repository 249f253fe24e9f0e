"""Examples of the OpenAPI schema: a body that a serializer takes, or an answer that it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer

SerializerT = TypeVar("SerializerT", bound=type)


def request_example(
    name: str, value: Any, *, component_name: str | None = None
) -> Callable[[SerializerT], SerializerT]:
    """Decorates a serializer with a body that is sent."""
    return _with(OpenApiExample(name, value=value, request_only=True), component_name)


def response_example(
    name: str, value: Any, *, component_name: str | None = None, **options: Any
) -> Callable[[SerializerT], SerializerT]:
    """Decorates a serializer with an answer. `options` are those of OpenApiExample."""
    return _with(OpenApiExample(name, value=value, response_only=True, **options), component_name)


def _with(
    example: OpenApiExample, component_name: str | None
) -> Callable[[SerializerT], SerializerT]:
    decorate: Callable[[SerializerT], SerializerT] = extend_schema_serializer(
        examples=[example], component_name=component_name
    )
    return decorate
