"""Model fields that validate on every path: save, bulk_create, update and bulk_update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from featureflags.core.json_numbers import normalised
from users.metadata import find_problem

if TYPE_CHECKING:
    TextEmailField = models.EmailField[str, str]
    TextField = models.CharField[str, str]
    ObjectField = models.JSONField[Any, Any]
else:
    TextEmailField = models.EmailField
    TextField = models.CharField
    ObjectField = models.JSONField


class LowerCaseEmailField(TextEmailField):
    """An e-mail address, lower case on every write and look-up."""

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return value.lower() if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return value.lower() if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = super().pre_save(model_instance, add)
        if isinstance(value, str):
            value = value.lower()
            setattr(model_instance, self.attname, value)
        return value


class PlainCharField(TextField):
    """Text without NUL. PostgreSQL refuses that character; on SQLite text functions stop there."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"{self.name} must not contain the character NUL.")
        return value

    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class MetadataField(ObjectField):
    """A JSON object within the limits of `users.metadata`; anything else raises ValidationError.

    Large whole floats become integers before they are stored: PostgreSQL would do the same after.
    """

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = super().pre_save(model_instance, add)
        kept = normalised(value)
        if kept is not value:
            setattr(model_instance, self.attname, kept)
        return kept

    def validate(self, value: Any, model_instance: models.Model | None) -> None:
        _refuse_problem(value)
        super().validate(value, model_instance)

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        # Expressions (bulk_update's CASE) come here too; each value inside comes again by itself.
        if not hasattr(value, "resolve_expression"):
            _refuse_problem(value)
            value = normalised(value)
        return super().get_db_prep_save(value, connection)


def _refuse_problem(value: object) -> None:
    problem = find_problem(value)
    if problem is not None:
        raise ValidationError(problem, code="invalid_metadata")
