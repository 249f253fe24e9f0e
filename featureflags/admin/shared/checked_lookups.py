"""Lists of the admin for any address: what a person or a scanner writes after the question mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import Error
from django.db.models import DateTimeField, ForeignKey, Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.core.database import is_away
from featureflags.core.input_gate import MOST_WORDS

ModelT = TypeVar("ModelT", bound=Model)

REGULAR_EXPRESSIONS: Final = ("__regex", "__iregex")

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Mixed = ModelAdmin
else:

    class Mixed:
        """Nothing, which can be subscripted."""

        def __class_getitem__(cls, _model: object) -> type:
            return cls


class CheckedLookups(Mixed[ModelT]):
    """Mix it in before a ModelAdmin."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """As Django's, without regular expressions: on SQLite these are Python's, and one may take for ever."""
        if lookup.endswith(REGULAR_EXPRESSIONS):
            return False
        return super().lookup_allowed(lookup, value, request)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """As Django's, which refuses values that Python refuses. So are dates at the edge of the calendar here,
        numbers without end, and whatever the database refuses. Raises IncorrectLookupParameters."""
        try:
            return super().get_changelist_instance(request)
        except (OverflowError, ValueError, Error) as error:
            if is_away(error):
                raise
            raise IncorrectLookupParameters(error) from error

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """As Django's, without values that their fields cannot show: odd dates, and keys without a row."""
        given = super().get_changeform_initial_data(request)
        found = {name: self._initial(name, value) for name, value in given.items()}
        return {name: value for name, value in found.items() if value is not None}

    def _initial(self, name: str, value: Any) -> Any:
        """The value of a field as its form shows it; None where it cannot."""
        try:
            field = self.opts.get_field(name)
            if isinstance(field, ForeignKey):
                field.clean(value, None)
            elif isinstance(field, DateTimeField):
                return timezone.localtime(field.to_python(value))
        except FieldDoesNotExist:
            return value
        except (ValidationError, ValueError, OverflowError):
            return None
        return value

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ModelT], search_term: str
    ) -> tuple[QuerySet[ModelT], bool]:
        """As Django's, for at most MOST_WORDS words."""
        if len(search_term.split()) > MOST_WORDS:
            why = _("Search for at most %(number)d words.") % {"number": MOST_WORDS}
            messages.error(request, why, fail_silently=True)
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)
