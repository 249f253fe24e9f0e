"""The form field of a segment's rules: JSON text, around which the editor is built in a browser.

Without JavaScript it is a text area, validated in the same way. The text has the names in the order
in which people read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from django import forms
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundField
from django.forms.widgets import Script

from featureflags.admin.rule_editor.vocabulary import vocabulary
from featureflags.admin.shared.json_forms import JSONTextarea, JSONTextField
from featureflags.core.types import JSONValue
from featureflags.kinds.registry import USER
from featureflags.models import RuleProblem, Segment

ORDER = (
    *("id", "description", "clauses"),
    *("attribute", "op", "values", "negate", "ignoreCase", "orMissing", "contextKind"),
    *("weight", "bucketBy", "rolloutContextKind"),
)
"""PostgreSQL's jsonb does not keep the order of names: it sorts them by length."""

SCRIPTS = (
    *("base", "chips", "inputs", "dates", "expressions", "options", "attributes", "conditions"),
    "share",
    *("rules", "drafts", "trial", "page", "remarks", "builder"),
)
"""In this order: the editor starts with the last one."""
STYLES = [
    f"featureflags/rule_editor/{name}.css" for name in ("rules", "conditions", "options", "impact")
]
"""In this order: later ones override earlier ones."""


class Editor(TypedDict):
    """What the widget's template needs."""

    vocabulary: JSONValue
    problems: JSONValue
    segment: str
    """The key of the segment; empty for a new one."""
    kind: str
    is_unsaved: bool
    """True if the form came back with unsaved values."""


class RulesWidget(JSONTextarea):
    """The text area inside its editor."""

    template_name = "admin/featureflags/rule_editor/editor.html"

    class Media:
        css = {"all": STYLES}
        js = [Script(f"featureflags/rule_editor/{name}.js", defer=True) for name in SCRIPTS]

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.segment_key = ""
        self.kind = USER
        self.is_unsaved = False
        self.errors: Sequence[ValidationError] = ()

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """As Django's, with the editor's vocabulary. Hidden SQL: see there."""
        editor = Editor(
            vocabulary=vocabulary(self.segment_key, self.kind),
            problems=[_placed(error) for error in self.errors],
            segment=self.segment_key,
            kind=self.kind,
            is_unsaved=self.is_unsaved,
        )
        return {**super().get_context(name, value, attrs), "editor": editor}


class RulesBoundField(BoundField):
    """Gives the widget the segment's key and the errors."""

    def as_widget(
        self,
        widget: forms.Widget | None = None,
        attrs: dict[str, Any] | None = None,
        only_initial: bool = False,
    ) -> Any:
        widget = widget or self.field.widget
        if isinstance(widget, RulesWidget):
            widget.errors = self.errors.as_data()
            widget.is_unsaved = self.form.is_bound
            instance = getattr(self.form, "instance", None)
            if isinstance(instance, Segment):
                widget.kind = instance.kind
                if instance.pk is not None:
                    widget.segment_key = instance.key
        return super().as_widget(widget, attrs, only_initial)


class RulesField(JSONTextField):
    """Rules as JSON text. An empty text means no rules."""

    widget = RulesWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "empty": list})

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> BoundField:
        return RulesBoundField(form, self, field_name)

    def prepare_value(self, value: Any) -> Any:
        """The text to show: typed text as it is, stored rules in reading order."""
        return super().prepare_value(in_reading_order(value))


def in_reading_order(value: Any) -> Any:
    """The same JSON with the names of rules and clauses sorted; others keep their places."""
    if isinstance(value, dict):
        known = [name for name in ORDER if name in value]
        others = [name for name in value if name not in ORDER]
        return {name: in_reading_order(value[name]) for name in (*known, *others)}
    if isinstance(value, list):
        return [in_reading_order(item) for item in value]
    return value


def _placed(error: ValidationError) -> JSONValue:
    """An error with its place: the numbers of a rule and a condition, counted from 1, or null."""
    if isinstance(error, RuleProblem):
        problem = error.problem
        return {"rule": problem.rule, "clause": problem.clause, "message": problem.message}
    return {"rule": None, "clause": None, "message": str(error.message)}
