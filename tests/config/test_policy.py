"""The Content-Security-Policy of every answer, and the error pages."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views.defaults import permission_denied, server_error

from tests.factories import UserFactory

STRICT = (
    "base-uri 'none'; default-src 'self'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'"
)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address", ["/", "/login/", "/admin/", "/admin/featureflags/segment/", "/api/v1/users/me/"]
)
def test_every_answer_has_the_strict_policy(client: Client, address: str) -> None:
    client.force_login(UserFactory.create(superuser=True))
    response = client.get(address)
    assert response.status_code == 200
    directives = sorted(response["Content-Security-Policy"].split("; "))
    assert "; ".join(directives) == STRICT


@pytest.mark.django_db
def test_the_documentation_may_show_its_own_icons_and_nothing_more(client: Client) -> None:
    client.force_login(UserFactory.create())
    response = client.get("/api/v1/docs/")
    directives = set(response["Content-Security-Policy"].split("; "))
    assert directives == {*STRICT.split("; "), "img-src 'self' data:"}


@pytest.mark.django_db
def test_an_unknown_address_shows_a_message(client: Client) -> None:
    response = client.get("/there/is/none")
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()
    assert "The address may be wrong" in response.content.decode()
    assert response["Content-Security-Policy"]
    # A page that knows more says it.
    client.force_login(UserFactory.create(superuser=True))
    gone = client.get(reverse("admin:featureflags_draft", args=["none"])).content.decode()
    assert "There is no such draft. Drafts end after 14 days." in gone


def test_refusals_and_failures_have_pages_without_a_database(rf: RequestFactory) -> None:
    refused = permission_denied(rf.get("/"), Exception())
    assert refused.status_code == 403
    assert "may not see this page" in refused.content.decode()
    failed = server_error(rf.get("/"))
    assert failed.status_code == 500
    assert "Something went wrong" in failed.content.decode()
    for page in (refused, failed):
        assert " style=" not in page.content.decode()
        assert "<style" not in page.content.decode()
