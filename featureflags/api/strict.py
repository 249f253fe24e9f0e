"""Serializers that take what they are given as it is: nothing is coerced, nothing dropped."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.forms.utils import from_current_timezone
from django.utils import timezone
from rest_framework import serializers

AnyT = TypeVar("AnyT")
ModelT = TypeVar("ModelT", bound=models.Model)


class StrictBooleanField(serializers.BooleanField):
    """true or false. 1 and "true" are neither."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictIntegerField(serializers.IntegerField):
    """A whole number. true, 1.0 and "1" are refused."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictCharField(serializers.CharField):
    """Text only: 1 is refused."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictDateTimeField(serializers.DateTimeField):
    """An instant. Without a zone it is a time of the site; one that its clocks leave out, or have twice, is refused."""

    def enforce_timezone(self, value: datetime.datetime) -> datetime.datetime:
        if timezone.is_naive(value):
            try:
                value = from_current_timezone(value)
            except ValidationError as error:
                raise serializers.ValidationError(error.messages) from error
        return super().enforce_timezone(value)


class StrictSerializer(serializers.Serializer[AnyT]):
    """Refuses unknown fields."""

    @classmethod
    def read(cls, data: Any) -> dict[str, Any]:
        """What a body says, in a dict of the caller's own. Raises ValidationError."""
        asked = cls(data=data)
        asked.is_valid(raise_exception=True)
        return {**asked.validated_data}

    def to_internal_value(self, data: Any) -> Any:
        errors = self._refused(data) if isinstance(data, Mapping) else {}
        if errors:
            raise serializers.ValidationError(errors)
        return super().to_internal_value(data)

    def _refused(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        return {name: ["There is no such field."] for name in data if name not in self.fields}


class StrictModelSerializer(StrictSerializer[ModelT], serializers.ModelSerializer[ModelT]):
    """Refuses unknown fields, and read-only ones unless they have the stored value.

    An update writes only the given columns, so that it never undoes another user's change.
    """

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.BooleanField: StrictBooleanField,
        models.CharField: StrictCharField,
        models.TextField: StrictCharField,
    }

    def update(self, instance: ModelT, validated_data: Any) -> ModelT:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        if validated_data:
            instance.save(update_fields=list(validated_data))
        return instance

    def _refused(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        errors = super()._refused(data)
        stored: Mapping[str, Any] = {}
        if self.instance is not None and any(self._is_read_only(name) for name in data):
            stored = self.to_representation(self.instance)
        for name, value in data.items():
            if self._is_read_only(name) and not (name in stored and stored[name] == value):
                errors[name] = ["This field cannot be written here."]
        return errors

    def _is_read_only(self, name: str) -> bool:
        field = self.fields.get(name)
        return field is not None and field.read_only
