"""Forms of accounts. No request here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import ValidationError

from users.metadata import find_problem
from users.models import User

if TYPE_CHECKING:
    CreationForm = AdminUserCreationForm[User]
    ChangeForm = UserChangeForm[User]
else:
    CreationForm = AdminUserCreationForm
    ChangeForm = UserChangeForm


class UserCreateForm(CreationForm):
    """A new account: e-mail, name, role, and a password or none."""

    class Meta:
        model = User
        fields = ("email", "name", "role")


class UserEditForm(ChangeForm):
    """An account with everything that staff may change."""

    class Meta:
        model = User
        fields = "__all__"
        field_classes: dict[str, type[forms.Field]] = {}

    def clean_metadata(self) -> Any:
        """Refuse invalid metadata, the empty list and null included."""
        metadata = self.cleaned_data["metadata"]
        problem = find_problem(metadata)
        if problem is not None:
            raise ValidationError(problem, code="invalid_metadata")
        return metadata
