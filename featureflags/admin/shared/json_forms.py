"""The form field for JSON that every page of the admin uses, and JSON as text. No request here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext as _


class JSONTextarea(forms.Textarea):
    """A text area for JSON, in a typeface in which brackets line up."""

    class Media:
        css = {"all": ["featureflags/json-text.css"]}

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        defaults = {"class": "json-text", "rows": 12, "cols": 80, "spellcheck": "false"}
        super().__init__({**defaults, **(attrs or {})})


class JSONTextField(forms.JSONField):
    """JSON as text: shown indented, and kept as typed while the form has an error.

    Refuses what `json` would let through or drop: NaN, Infinity, and a name that appears twice in
    one object. Errors name line and column. An empty text is `empty()`.
    """

    widget = JSONTextarea

    def __init__(self, *, empty: Callable[[], Any], **options: Any) -> None:
        self.empty = empty
        # Django would put the initial value into the page as text; it is read from the row instead.
        super().__init__(**{**options, "show_hidden_initial": False})

    def to_python(self, value: Any) -> Any:
        """The parsed value. Raises ValidationError with line and column."""
        if not isinstance(value, str):
            return self.empty() if value is None else value
        if not value.strip():
            return self.empty()
        try:
            return read_json(value)
        except json.JSONDecodeError as error:
            place = {"line": error.lineno, "column": error.colno, "problem": error.msg}
            message = _("This is not JSON: line %(line)d, column %(column)d: %(problem)s.") % place
        except RecursionError:
            message = _("This JSON is nested too deeply.")
        except ValueError as error:
            message = _("This is not JSON: %s.") % error
        raise ValidationError(message, code="invalid")

    def bound_data(self, data: Any, initial: Any) -> Any:
        """The text exactly as typed."""
        if self.disabled or data is None:
            return super().bound_data(data, initial)
        return InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        """The text to show: typed text as it is, a value indented."""
        return value if isinstance(value, InvalidJSONInput) else pretty_json(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """True if the text means another value; layout does not count."""
        try:
            now = self.to_python(data)
        except ValidationError:
            return True
        before = self.empty() if initial is None else initial
        return json.dumps(before, sort_keys=True) != json.dumps(now, sort_keys=True)


def read_json(text: str) -> Any:
    """Parse a JSON text. Raises ValueError, or RecursionError if it is nested too deeply."""
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)


def pretty_json(value: Any) -> str:
    """A value as indented JSON, with escapes only for what UTF-8 cannot encode."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=2)
    return text


def _refuse_constant(name: str) -> Any:
    raise ValueError(_("%s is not a JSON value") % name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(_("the name “%s” appears twice in one object") % name)
        found[name] = value
    return found
