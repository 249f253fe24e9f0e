"""A ModelAdmin that asks before it writes, and turns a refusal of the model into a message.

Segments and members are validated again under the lock of the ruleset version, so a save can be
refused after its form was valid, when somebody else has saved in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from featureflags.admin.shared.checked_lookups import CheckedLookups
from featureflags.admin.shared.confirm import NeedsConfirmation, Question, confirmation_page
from featureflags.admin.shared.kept_choice import KeptChoice
from featureflags.admin.shared.pages import Link
from featureflags.admin.shared.planning import Planned, plan_instead
from featureflags.admin.shared.session import name_saved_form
from featureflags.editing import Examination

ModelT = TypeVar("ModelT", bound=models.Model)

SURE: Final = {"post": "yes"}
"""What Django's own page sends to confirm a deletion."""

if TYPE_CHECKING:
    DjangoAdmin = admin.ModelAdmin
else:

    class DjangoAdmin(admin.ModelAdmin):
        """Django's own, which can be subscripted only for the type checker."""

        def __class_getitem__(cls, _model: object) -> type[admin.ModelAdmin]:
            return cls


class BaseModelAdmin(KeptChoice[ModelT], CheckedLookups[ModelT], DjangoAdmin[ModelT]):
    """Django's, with lists for any address, which keep the chosen rows."""


class GuardedModelAdmin(BaseModelAdmin[ModelT]):
    """For models that `write` changes: it raises NeedsConfirmation, Planned, ValidationError (a save) and
    ProtectedError (a deletion). Each view is one transaction, so nothing is written then."""

    def confirm_trail(self, object_id: str | None, keys: str) -> list[Link]:
        """The breadcrumbs of the page that asks. `keys`: of the segments it asks about."""
        raise NotImplementedError

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """As Django's. After a refusal the form is validated once more: it then sees what is
        stored now, and shows the problem beside the field."""
        view = super().changeform_view
        try:
            try:
                return view(request, object_id, form_url, extra_context)
            except ValidationError:
                return view(request, object_id, form_url, extra_context)
        except ValidationError as error:
            return self._refused(request, error.messages)
        except NeedsConfirmation as asked:
            return self.ask(request, asked.examinations, object_id)
        except Planned as planned:
            return name_saved_form(request, plan_instead(request, planned))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's, which is one transaction, with its log entry."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except ProtectedError as error:
            return self._refused(request, [str(error.args[0])])
        except NeedsConfirmation as asked:
            return self.ask(request, asked.examinations, object_id, deletes=True)
        except Planned as planned:
            return plan_instead(request, planned)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """As Django's. An action is one transaction, so that the log names no failed deletion."""
        if request.method != "POST":
            return super().changelist_view(request, extra_context)
        try:
            with transaction.atomic():
                return super().changelist_view(request, extra_context)
        except ProtectedError as error:
            return self.keep_choice(request, [str(error.args[0])])
        except NeedsConfirmation as asked:
            deletes = any(each.change.after is None for each in asked.examinations)
            return self.ask(request, asked.examinations, deletes=deletes)
        except Planned as planned:
            return plan_instead(request, planned)

    def ask(
        self,
        request: HttpRequest,
        examinations: Sequence[Examination],
        object_id: str | None = None,
        *,
        deletes: bool = False,
    ) -> HttpResponse:
        """The page that asks, about a form that was sent, an action of the list or a deletion."""
        keys = ", ".join(each.key for each in examinations)
        trail = self.confirm_trail(object_id, keys)
        question = Question(
            examinations=examinations,
            trail=trail,
            back=trail[-1].href if deletes and object_id is not None else "",
            carried=SURE if deletes and "post" not in request.POST else {},
            verb=_("Delete") if deletes else "",
        )
        return confirmation_page(request, self.admin_site, question)

    def _refused(self, request: HttpRequest, problems: Iterable[str]) -> HttpResponse:
        for problem in problems:
            self.message_user(request, problem, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())
