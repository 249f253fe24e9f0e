"""Every page of the admin keeps to the Content-Security-Policy, and axe-core finds nothing wrong.

The pages are those that the admin's URLs name, also ones that are added later. A page with a new parameter
needs a sample of it in `samples`.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import DateTimeField, Model, QuerySet
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import Page
from pytest_django.fixtures import Settings

from featureflags.editing import change_to, comment, dump_state, examine, make_plan
from featureflags.models import (
    HistoryEntry,
    PlannedChange,
    Segment,
    SegmentDraft,
    SegmentMember,
    Webhook,
)
from tests.browser.colours import lost_in_forced_colours
from tests.browser.conftest import DESKTOP, PHONE, CheckAccessibility
from tests.browser.fitting import ZOOMED, unfit
from tests.conftest import FlagFile
from tests.factories import SegmentMemberFactory, UserFactory, clause, rule, token_for
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

NO_PAGES = {
    # Take POST alone.
    *("featureflags_preview", "featureflags_preview_person", "featureflags_draft_keep"),
    *("featureflags_try_expression", "featureflags_lint"),
    # Needs segments and a part, see `test_around.py`.
    "featureflags_segment_overlap_people",
    # Answers for scripts, and addresses that only lead elsewhere.
    *("autocomplete", "jsi18n", "featureflags_session", "featureflags_segments_found"),
    *("view_on_site", "logout", None),
    # Warm-ups cannot be added there, and cancelling one needs a form.
    *("featureflags_warmrun_add", "featureflags_warmrun_cancel"),
    # Deliveries are neither added nor deleted there.
    *("featureflags_webhookdelivery_add", "featureflags_webhookdelivery_delete"),
    # Files to keep, and a form's buttons.
    *("featureflags_segment_export", "featureflags_segment_by_name_export"),
    "featureflags_flag_count",
    "featureflags_segment_accept",
    # As the user's own: the one who is logged in.
    "password_change_done",
}


LONG = datetime.datetime(2026, 9, 30, 22, 58, tzinfo=datetime.UTC)
"""“Sept. 30, 2026, 10:58 p.m.” No other hour or month has a longer text."""
UNBROKEN = "n" * 60
"""What people type has no place to break a line at."""
OTHER = "staging https://127.0.0.1:1/api/v1 gdn_of-nobody"
"""An installation that is never reached."""


@pytest.fixture
def samples(
    transactional_db: None, flag_file: FlagFile, settings: Settings
) -> Mapping[str, object]:
    """A value for each parameter of a page that is not the key of its own model's row."""
    # The testers' page is there only where it is switched on.
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "TESTERS": True, "INSTALLATIONS": [OTHER]}
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("rich")]))
    person = UserFactory.create(
        name=UNBROKEN, email=f"{UNBROKEN}@example.com", metadata={"plan": "pro"}
    )
    segment = Segment.objects.get(key="employee")
    SegmentMemberFactory.create(segment=segment, user=person, reason=f"Asked for {UNBROKEN}")
    Group.objects.create(name="Editors")
    token_for()
    Webhook.objects.test(Webhook.objects.create(name=UNBROKEN, url="https://hooks.example.com/"))
    Segment.objects.create(
        key="rich", name="Rich", rules=[rule(clause("custom_plan", "in", "pro", "team"))]
    )
    rich = Segment.objects.get(key="rich")
    SegmentMemberFactory.create(segment=rich, user=person, reason=f"Asked for {UNBROKEN}")
    ended = {"starts_at": LONG - datetime.timedelta(days=365), "expires_at": LONG}
    QuerySet(SegmentMember).filter(segment=rich).update(**ended)
    renamed = Segment.objects.get(key="employee")
    renamed.name = "Colleagues"
    renamed.save()
    plan = proposed(person)
    in_long_words()
    return {
        "change": HistoryEntry.objects.filter(segment_key="employee").earliest("pk").pk,
        "key": person.pk,
        "id": person.pk,
        "app_label": "featureflags",
        "segment": "rich",
        "kind": "user",
        "flag": "new-checkout",
        "name": "staging",
        "token": SegmentDraft.objects.create(
            segment_key="rich", state=dump_state(Segment.objects.get(key="rich").as_state())
        ).token,
        "plan": plan.pk,
    }


def in_long_words() -> None:
    """Move all that has happened to a time whose text is long: no page may depend on the hour."""
    for model in apps.get_app_config("featureflags").get_models():
        names = [name for name in ("at", "created_at") if name in fields_of(model)]
        # Django's own query set: that of the history refuses every change.
        QuerySet(model).update(**dict.fromkeys(names, LONG))


def fields_of(model: type[Model]) -> set[str]:
    return {field.name for field in model._meta.get_fields() if isinstance(field, DateTimeField)}


def proposed(author: User) -> PlannedChange:
    """A proposal with a comment, which somebody else may approve."""
    rich = Segment.objects.get(key="rich")
    rich.rules = [rule(clause("custom_plan", "in", "pro"))]
    plan = make_plan(examine(change_to(rich)), author=author, source="admin", note="Fewer")
    comment(plan, author, "Is this too few?")
    return plan


def admin_pages(samples: Mapping[str, object]) -> Iterator[str]:
    """The addresses of all pages of the admin, with a row of their model where they want one."""
    for pattern, parents in patterns(get_resolver("config.urls"), ()):
        if "admin" in parents and pattern.name not in NO_PAGES:
            values = dict(parameters(pattern, samples))
            if None not in values.values():
                yield reverse(f"admin:{pattern.name}", kwargs=values)


def patterns(
    resolver: URLResolver, parents: tuple[str, ...]
) -> Iterator[tuple[URLPattern, tuple[str, ...]]]:
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            inside = (each.namespace,) if each.namespace else ()
            yield from patterns(each, (*parents, *inside))
        else:
            yield each, parents


def parameters(pattern: URLPattern, samples: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The parameters of a page; None for one without a row."""
    for name in (*pattern.pattern.converters, *pattern.pattern.regex.groupindex):
        if name == "object_id":
            row = model_of(str(pattern.name))._default_manager.order_by("pk").first()
            yield name, None if row is None else row.pk
        else:
            assert name in samples, f"{pattern}: say in `samples` what {name!r} may be"
            yield name, samples[name]


def model_of(page: str) -> type[Model]:
    """The model whose row a page shows, by the name that the admin gives to pages."""
    [found] = [
        model
        for model in admin.site._registry
        if page.startswith(f"{model._meta.app_label}_{model._meta.model_name}_")
    ]
    return found


@pytest.mark.parametrize("half", [0, 1])
def test_every_page_keeps_to_the_policy_and_is_accessible(
    samples: Mapping[str, object],
    superuser_page: Page,
    check_accessibility: CheckAccessibility,
    half: int,
) -> None:
    """In the light and in the dark, on a desk, on a phone and in a window at 400 %."""
    page, addresses = superuser_page, sorted(set(admin_pages(samples)))
    assert len(addresses) >= 30
    wrong = []
    for address in addresses[half::2]:
        answer = page.goto(address)
        assert answer is not None
        assert (address, answer.status) == (address, 200)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        # After the scripts that wait until the page has loaded.
        page.evaluate("() => new Promise(done => setTimeout(done))")
        try:
            check_accessibility(page)
            page.emulate_media(color_scheme="dark")
            check_accessibility(page, only="color-contrast")
        except AssertionError as error:
            wrong.append(f"{address}: {error}")
        wrong += lost_in_forced_colours(page, address)
        wrong += unfit(page, address, DESKTOP, PHONE, ZOOMED)
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
    assert not wrong, "\n".join(wrong)
