"""Staff who see pages as if flags had other values: they alone, for a while, written down."""

from __future__ import annotations

from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core import signing
from django.db import OperationalError, connection, connections
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from pytest_django.fixtures import Settings

from featureflags.admin.flag_previews import FlagField
from featureflags.core.conf import FeatureFlagsSettings
from featureflags.evaluation import all_flags, avariation_detail, is_enabled, variation
from featureflags.evaluation.previews import SALT
from featureflags.flags.declared import declared_flags
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.flag_json import boolean_flag, string_flag
from users.models import User

COOKIE = "guidon_tester"
CHOICE = {"flag:new-checkout": "true", "flag:accent-colour": "plum"}
BANNER = b'id="flag-tester-banner"'
URL = "/admin/featureflags/segment/testing/"


def page(request: HttpRequest) -> HttpResponse:
    colour = variation("accent-colour", request=request)
    response = HttpResponse(
        f"<html><body>{is_enabled('new-checkout', request=request)} {colour}</body></html>"
    )
    response.headers["Content-Length"] = str(len(response.content))
    return response


def data(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"on": is_enabled("new-checkout", request=request), "x": "</body>"})


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"<html><body></body></html>"]))


async def apage(request: HttpRequest) -> HttpResponse:
    detail = await avariation_detail("accent-colour", request=request)
    return HttpResponse(f"<html><body>{detail.value}</body></html>")


def about(request: HttpRequest, key: str) -> JsonResponse:
    """The flags of any user: one by one, and all together."""
    every = all_flags(key)
    flags = ("new-checkout", "accent-colour")
    return JsonResponse({flag: [variation(flag, key), every[flag].value] for flag in flags})


admin.autodiscover()
urlpatterns = [
    path("page/", page),
    path("data/", data),
    path("about/<str:key>/", about),
    path("stream/", stream),
    path("apage/", apage),
    path("admin/", admin.site.urls),
]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.featureflags.evaluation.test_previews"),
]


@pytest.fixture(autouse=True)
def on(settings: Settings, flag_file: FlagFile) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "TESTERS": True}
    flag_file(boolean_flag("new-checkout"), string_flag("accent-colour", ["teal", "plum"]))


@pytest.fixture
def tester() -> User:
    return UserFactory.create(is_staff=True)


@pytest.fixture
def looking(client: Client, tester: User) -> Client:
    """A browser whose user has chosen."""
    client.force_login(tester)
    assert client.post(URL, CHOICE).status_code == 302
    return client


class TestWhatIsSeen:
    def test_the_chosen_values_and_a_banner(self, looking: Client) -> None:
        response = looking.get("/page/")
        assert b"True plum" in response.content
        assert BANNER in response.content
        assert response.content.endswith(b"</body></html>")
        assert b"accent-colour = &quot;plum&quot;, new-checkout = true" in response.content
        assert int(response.headers["Content-Length"]) == len(response.content)
        assert "no-store" in response.headers["Cache-Control"]
        assert "Cookie" in response.headers["Vary"]

    def test_only_html_pages_get_the_banner(self, looking: Client) -> None:
        assert looking.get("/data/").json() == {"on": True, "x": "</body>"}
        streamed = cast("StreamingHttpResponse", looking.get("/stream/"))
        assert BANNER not in streamed.getvalue()

    def test_another_user_s_values_stay_theirs_on_the_tester_s_pages(
        self, looking: Client, tester: User
    ) -> None:
        other = UserFactory.create()
        found = looking.get(f"/about/{other.pk}/").json()
        assert found == {"new-checkout": [False, False], "accent-colour": ["teal", "teal"]}
        own = looking.get(f"/about/{tester.pk}/").json()
        assert own == {"new-checkout": [True, True], "accent-colour": ["plum", "plum"]}

    def test_nobody_else_sees_it(self, looking: Client) -> None:
        assert b"False teal" in Client().get("/page/").content
        other = Client()
        other.force_login(UserFactory.create(is_staff=True))
        other.cookies[COOKIE] = looking.cookies[COOKIE].value
        response = other.get("/page/")
        assert b"False teal" in response.content
        assert BANNER not in response.content

    async def test_an_asynchronous_page(self, looking: Client) -> None:
        browser = AsyncClient()
        browser.cookies = looking.cookies
        response = await browser.get("/apage/")
        assert b"plum" in response.content
        assert BANNER in response.content
        assert b"teal" in (await AsyncClient().get("/apage/")).content
        await sync_to_async(connections.close_all)()


class TestWhenItHolds:
    def test_until_it_ends(self, looking: Client) -> None:
        looking.post(URL, {"end": ""})
        assert b"False teal" in looking.get("/page/").content

    def test_choosing_nothing_ends_it(self, looking: Client) -> None:
        looking.post(URL, {"flag:new-checkout": ""})
        assert b"False teal" in looking.get("/page/").content

    def test_for_some_hours(self, looking: Client, settings: Settings) -> None:
        assert looking.cookies[COOKIE]["max-age"] == 8 * 3600
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "TESTER_SECONDS": 0}
        assert b"False teal" in looking.get("/page/").content, "by the time of its signature"

    def test_its_own_end_holds_too(self, client: Client, tester: User) -> None:
        client.force_login(tester)
        document = {"user": str(tester.pk), "flags": {"new-checkout": True}, "until": 1}
        client.cookies[COOKIE] = signing.dumps(document, salt=SALT)
        assert b"False teal" in client.get("/page/").content

    def test_while_its_user_is_staff(self, looking: Client, tester: User) -> None:
        tester.is_staff = False
        tester.save()
        assert b"False teal" in looking.get("/page/").content

    def test_while_the_setting_is_on(self, looking: Client, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "TESTERS": False}
        assert b"False teal" in looking.get("/page/").content
        assert looking.get(URL).status_code == 404
        assert looking.post(URL, CHOICE).status_code == 404

    def test_after_logout_it_does_not(self, looking: Client) -> None:
        cookie = looking.cookies[COOKIE].value
        looking.logout()
        looking.cookies[COOKIE] = cookie
        assert b"False teal" in looking.get("/page/").content

    @pytest.mark.parametrize("cookie", ["", "x", "e30:1:x", '{"flags": {"new-checkout": true}}'])
    def test_only_with_our_signature(self, client: Client, tester: User, cookie: str) -> None:
        client.force_login(tester)
        client.cookies[COOKIE] = cookie
        assert b"False teal" in client.get("/page/").content

    def test_a_cookie_signed_for_another_purpose_is_ignored(
        self, client: Client, tester: User
    ) -> None:
        client.force_login(tester)
        document = {"user": str(tester.pk), "flags": {"new-checkout": True}, "until": 10**17}
        client.cookies[COOKIE] = signing.dumps(document, salt="another")
        assert b"False teal" in client.get("/page/").content
        client.cookies[COOKIE] = signing.dumps(document, salt=SALT)
        assert b"True teal" in client.get("/page/").content

    def test_without_the_database_it_does_not(self, looking: Client) -> None:
        def fail(*_args: Any) -> None:
            raise OperationalError

        with connection.execute_wrapper(fail):
            response = looking.get("/page/")
        assert response.status_code == 200
        assert BANNER not in response.content


class TestThePage:
    def test_staff_alone_may_choose(self, client: Client) -> None:
        client.force_login(UserFactory.create())
        response = client.post(URL, CHOICE)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/admin/login/")
        assert COOKIE not in response.cookies

    def test_it_needs_the_form(self, tester: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(tester)
        assert strict.post(URL, CHOICE).status_code == 403

    def test_each_choice_is_written_down(self, looking: Client, tester: User) -> None:
        looking.post(URL, {"end": ""})
        entries = LogEntry.objects.filter(user=tester).order_by("pk")
        assert [entry.change_message for entry in entries] == [
            'Sees pages with these flags: {"accent-colour": "plum", "new-checkout": true}',
            "Sees pages as everybody does.",
        ]
        assert {entry.object_id for entry in entries} == {str(tester.pk)}

    def test_it_shows_what_is_chosen(self, looking: Client) -> None:
        text = looking.get(URL).content.decode()
        assert '<option value="true" selected>' in text
        assert 'value="plum"' in text
        assert 'name="end"' in text

    def test_the_known_values_are_choices(self, looking: Client) -> None:
        def choices(name: str) -> list[str]:
            field = looking.get(URL).context["form"].fields[name]
            return [value for value, _ in getattr(field.widget, "choices", ())]

        default = declared_flags()["accent-colour"].default
        known = ["", *dict.fromkeys(["teal", "plum", default])]
        assert choices("flag:accent-colour") == known
        assert choices("flag:new-checkout") == ["", "true", "false"]
        # A value that is not served any more stays a choice while it is seen.
        looking.post(URL, {"flag:accent-colour": "gold"})
        assert choices("flag:accent-colour") == [*known, "gold"]
        # Of a flag that is not served any text can be written.
        assert isinstance(FlagField(declared_flags()["accent-colour"]).widget, forms.TextInput)

    def test_an_invalid_value_is_refused(self, client: Client, tester: User) -> None:
        client.force_login(tester)
        response = client.post(URL, {"flag:new-checkout": "5"})
        assert response.status_code == 200
        assert b"This is not of the type boolean." in response.content
        assert b"This is not JSON." in client.post(URL, {"flag:new-checkout": "{"}).content
        assert COOKIE not in client.cookies

    def test_more_than_a_cookie_holds_is_refused(self, client: Client, tester: User) -> None:
        client.force_login(tester)
        noise = "".join(chr(0x4E00 + number * 7 % 9000) for number in range(3000))
        response = client.post(URL, {"flag:accent-colour": noise})
        assert b"A cookie cannot hold this much" in response.content
        assert COOKIE not in client.cookies

    def test_the_cookie_is_as_secure_as_the_session_s(
        self, client: Client, tester: User, settings: Settings
    ) -> None:
        settings.SESSION_COOKIE_SECURE = True
        client.force_login(tester)
        cookie = client.post(URL, CHOICE, secure=True).cookies[COOKIE]
        assert cookie["secure"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"


def test_it_is_off_by_default() -> None:
    assert FeatureFlagsSettings().testers is False
