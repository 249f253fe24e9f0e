"""What a model refuses while it is saved or deleted becomes a message, never an error page.

Segments and members validate again under the lock of the ruleset version. So a save can be
refused after its form was valid, when somebody else has saved in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

ModelT = TypeVar("ModelT", bound=models.Model)

if TYPE_CHECKING:
    BaseModelAdmin = admin.ModelAdmin
else:

    class BaseModelAdmin(admin.ModelAdmin):
        """Django's own, which takes its model for the type checker alone."""

        def __class_getitem__(cls, _model: object) -> type[admin.ModelAdmin]:
            return cls


class RefusingModelAdmin(BaseModelAdmin[ModelT]):
    """A ModelAdmin for models whose `save` raises ValidationError, `delete` ProtectedError."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """As Django's. After a refusal the form is validated again: it sees what is there now,
        and shows the problem beside what was typed."""
        view = super().changeform_view
        try:
            return view(request, object_id, form_url, extra_context)
        except ValidationError:
            # Nothing was written: the view is one transaction.
            try:
                return view(request, object_id, form_url, extra_context)
            except ValidationError as error:
                return self._refused(request, error.messages)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's, which is one transaction, with its log entry."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except ProtectedError as error:
            return self._refused(request, [str(error.args[0])])

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's, an action being one transaction: the log names no deletion that failed."""
        if request.method != "POST":
            return super().changelist_view(request, extra_context)
        try:
            with transaction.atomic():
                return super().changelist_view(request, extra_context)
        except ProtectedError as error:
            return self._refused(request, [str(error.args[0])])

    def _refused(self, request: HttpRequest, problems: Iterable[str]) -> HttpResponse:
        for problem in problems:
            self.message_user(request, problem, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())
