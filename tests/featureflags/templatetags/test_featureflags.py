"""Flags in templates: the three forms, their subjects, and that errors never break a page."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.cache import SessionStore
from django.db import OperationalError, connection
from django.http import HttpRequest
from django.template import Context, Engine, RequestContext, Template, TemplateSyntaxError
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils.functional import SimpleLazyObject
from rest_framework.request import Request

from config.flags import NEW_CHECKOUT
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.core import monitoring
from featureflags.testing import FlagOverrides
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services import flag_json
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

LOAD = "{% load featureflags %}"
FlagFile = Callable[..., Path]


def render(source: str, request: HttpRequest | None = None, **values: Any) -> str:
    context = Context(values) if request is None else RequestContext(request, values)
    return Template(LOAD + source).render(context)


def request_of(user: Any) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = user
    request.session = SessionStore()
    return request


def fail_to_load() -> User:
    raise OperationalError("the server has gone")


FORMS = [
    # Blocks
    ('{% flag "on" %}A{% endflag %}', "A"),
    ('{% flag "off" %}A{% endflag %}', ""),
    ('{% flag "on" %}A{% else %}B{% endflag %}', "A"),
    ('{% flag "off" %}A{% else %}B{% endflag %}', "B"),
    ("{% flag 'on' %}A{% endflag %}", "A"),
    ("{% flag key %}A{% endflag %}", "A"),
    ('{% flag "o"|add:"n" %}A{% endflag %}', "A"),
    # A name
    ('{% flag "on" as x %}[{{ x }}]', "[True]"),
    ('{% flag "off" as x %}[{{ x }}]', "[False]"),
    ('{% flag "text" as x %}[{{ x }}]', "[False]"),
    ('{% flag "on" as x %}{% if x %}A{% endif %}', "A"),
    # The value
    ('[{% flag "on" %}]', "[True]"),
    ('[{% flag "text" %}]', "[a &lt;b&gt;]"),
    ('{% autoescape off %}[{% flag "text" %}]{% endautoescape %}', "[a <b>]"),
    ('[{% flag "nobody-knows" %}]', "[]"),
    ('[{% flag_value "text" %}]', "[a &lt;b&gt;]"),
    ('[{% flag_value "nobody-knows" "<i>" %}]', "[&lt;i&gt;]"),
    ('{% flag_value "text" "z" as y %}[{{ y }}]', "[a &lt;b&gt;]"),
    ('{% flag_value "nobody-knows" "z" as y %}[{{ y }}]', "[z]"),
    ('{% flag_value "nobody-knows" 7 as y %}[{{ y }}]', "[7]"),
    ('{% flag_value "nobody-knows" _("z") as y %}[{{ y }}]', "[z]"),
    ('{% flag_value "nobody-knows" key as y %}[{{ y }}]', "[on]"),
    ('{% flag_value "nobody-knows" as y %}[{{ y }}]', "[None]"),
    ('{% flag_value "new-checkout" as y %}[{{ y }}]', "[False]"),
    # Nesting
    ('{% flag "on" %}{% flag "off" %}A{% else %}B{% endflag %}C{% endflag %}', "BC"),
    ('{% flag "off" %}A{% else %}{% flag "on" %}B{% endflag %}C{% endflag %}', "BC"),
    ('{% flag "on" %}{% if key %}{% flag "text" %}{% endif %}{% endflag %}', "a &lt;b&gt;"),
    ('{% flag "on" %}{% flag "text" as t %}{{ t }}{% endflag %}', "False"),
    ('{% flag "on" %} {% flag "on" %}A{% endflag %}', "True A"),
    ('{% if key %}{% flag "on" %}{% else %}B{% endif %}', "True"),
    ('{% if key %}{% flag "on" %}{% endif %}{% flag "on" %}A{% endflag %}', "TrueA"),
    ('{% if key %}{% flag "on" %}A{% endflag %}{% else %}B{% endif %}', "A"),
    ('{% flag "off" %}{% if key %}A{% else %}B{% endif %}{% else %}C{% endflag %}', "C"),
    ('{% for i in "ab" %}{% flag "on" %}{{ i }}{% endflag %}{% empty %}{% endfor %}', "ab"),
    ('{% for i in "ab" %}{% flag "on" %}{% endfor %}', "TrueTrue"),
    ('{% flag "on" %}{% for i in "ab" %}{% cycle 1 2 %}{% endfor %}{% endflag %}', "12"),
    ('{% flag "on" %}{% now "Y" as y %}{% lorem 1 w %}{% endflag %}', "lorem"),
    ('{% flag "on" %}{% with a=1 %}{% flag "off" %}{% endwith %}{% endflag %}', "False"),
    ('{% block a %}{% flag "on" %}{% endblock a %}', "True"),
    ('{% block a %}{% flag "on" %}A{% endflag %}{% endblock %}', "A"),
    # Comments and verbatim text
    ('{% flag "on" %}{% comment %}{% endflag %}{% endcomment %}', "True"),
    ('{% flag "on" %}{% comment "no" %}{% if %}{% endcomment %}A{% endflag %}', "A"),
    ('{% flag "on" %}{# {% endflag %} #}', "True"),
    ('{% flag "on" %}{% verbatim %}{% endflag %}{% endverbatim %}', "True{% endflag %}"),
]


@pytest.mark.parametrize(("source", "expected"), FORMS)
def test_each_form_and_nesting(
    source: str, expected: str, flag_file: FlagFile, flag_overrides: FlagOverrides
) -> None:
    flag_overrides("on", True)
    flag_overrides("off", False)
    flag_overrides("text", "a <b>")
    assert render(source, key="on") == expected


WRONG = [
    "{% flag %}",
    '{% flag "a" "b" %}',
    '{% flag "a" user=x user=y %}',
    '{% flag_value "a" "b" "c" %}',
    '{% flag "a" as x %}A{% endflag %}',
    "A{% endflag %}",
    '{% flag "a" %}{% if x %}{% endflag %}{% endif %}',
]


@pytest.mark.parametrize("source", WRONG)
def test_what_cannot_be_read_is_a_template_error(source: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        Template(LOAD + source)


def test_a_template_error_names_what_was_written() -> None:
    with pytest.raises(TemplateSyntaxError, match='"a" colour=x'):
        Template(LOAD + '{% flag "a" colour=x %}')


def test_blocks_inside_a_flag_take_part_in_inheritance(flag_overrides: FlagOverrides) -> None:
    flag_overrides("on", True)
    flag_overrides("off", False)
    base = (
        LOAD + '{% flag "on" %}<{% block a %}base{% endblock %}>{% endflag %}'
        '{% flag "off" %}{% else %}<{% block b %}{% endblock %}>{% endflag %}'
    )
    child = (
        '{% extends "base" %}'
        + LOAD
        + '{% block a %}{{ block.super }} child {% flag "on" %}{% endblock %}'
        '{% block b %}{% flag "off" %}no{% else %}{{ block.super }}yes{% endflag %}{% endblock %}'
    )
    loaders = [("django.template.loaders.locmem.Loader", {"base": base, "child": child})]
    libraries = {"featureflags": "featureflags.templatetags.featureflags"}
    engine = Engine(loaders=loaders, libraries=libraries)
    assert engine.get_template("child").render(Context()) == "<base child True><yes>"


def test_a_tag_that_only_begins_like_an_end_opens_nothing(flag_overrides: FlagOverrides) -> None:
    flag_overrides("on", True)
    source = "{% load featureflags tests_endings %}" + '{% flag "on" %}{% endorse %}{% endflag %}'
    libraries = {
        "featureflags": "featureflags.templatetags.featureflags",
        "tests_endings": "tests.featureflags.endings",
    }
    assert Engine(libraries=libraries).from_string(source).render(Context()) == "endorsed"


@pytest.mark.django_db
def test_the_request_says_for_whom(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta", rules=[segment_rule("employee")]))
    employee, other = UserFactory.create(employee=True), UserFactory.create()
    source = '{% flag "beta" %}yes{% else %}no{% endflag %}'
    assert render(source, request_of(employee)) == "yes"
    assert render(source, request_of(other)) == "no"
    assert render(source, request_of(AnonymousUser())) == "no"
    wrapped = Request(request_of(AnonymousUser()))
    wrapped.user = employee
    assert render(source, wrapped) == "yes"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "source",
    [
        '{% flag "beta" user=person %}True{% else %}False{% endflag %}',
        '{% flag "beta" user=person as x %}{{ x }}',
        '{% flag "beta" user=person %}',
        '{% flag_value "beta" user=person as x %}{{ x }}',
        '{% flag_value "beta" True user=person %}',
    ],
)
def test_user_needs_no_request_and_beats_it(flag_file: FlagFile, source: str) -> None:
    flag_file(boolean_flag("beta", rules=[segment_rule("employee")]))
    employee, other = UserFactory.create(employee=True), UserFactory.create()
    assert render(source, person=employee) == "True"
    assert render(source, person=employee.pk) == "True"
    assert render(source, person=str(employee.pk)) == "True"
    assert render(source, person=other) == "False"
    assert render(source, request_of(employee), person=other) == "False"
    assert render(source, request_of(other), person=employee) == "True"


@pytest.mark.django_db
@pytest.mark.parametrize("nobody", [None, "", AnonymousUser()])
def test_an_empty_user_is_nobody_and_not_the_reader(flag_file: FlagFile, nobody: Any) -> None:
    flag_file(boolean_flag("beta", rules=[segment_rule("employee")]))
    employee = UserFactory.create(employee=True)
    assert render('{% flag "beta" user=person %}', request_of(employee), person=nobody) == "False"
    assert render('{% flag "beta" user=missing.name %}', request_of(employee)) == "False"


@pytest.mark.django_db
def test_a_template_without_request_asks_for_a_visitor(flag_file: FlagFile) -> None:
    visitors = flag_json.rule(flag_json.clause("anonymous", "in", True))
    flag_file(boolean_flag("beta", rules=[visitors]))
    assert render('{% flag "beta" %}') == "True"
    source = LOAD + '{% flag "beta" %}'
    assert Template(source).render(Context({"request": "a request for help"})) == "True"


@pytest.mark.django_db
def test_the_key_of_a_stranger_breaks_nothing(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta"))
    assert render('{% flag "beta" user=key %}', key=uuid.uuid4()) == "False"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% flag missing %}A{% else %}B{% endflag %}", "B"),
        ("[{% flag missing %}]", "[]"),
        ("{% flag missing as x %}{{ x }}", "False"),
        ('{% flag_value missing "z" as x %}{{ x }}', "z"),
        ("{% flag 7 %}A{% else %}B{% endflag %}", "B"),
    ],
)
def test_a_variable_that_holds_no_key_is_counted(source: str, expected: str) -> None:
    assert render(source) == expected
    assert monitoring.counts()["template_without_flag"] == 1


def test_a_declared_flag_may_be_the_key(flag_overrides: FlagOverrides) -> None:
    flag_overrides(NEW_CHECKOUT, True)
    assert render("{% flag declared %}A{% endflag %}", declared=NEW_CHECKOUT) == "A"


@pytest.mark.django_db
def test_segments_of_the_database_decide(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta", rules=[segment_rule("germans")]))
    SegmentFactory.create(key="germans", rules=[rule(clause("custom_country", "in", "DE"))])
    german = UserFactory.create(metadata={"country": "DE"})
    assert render('{% flag "beta" user=german %}', german=german) == "True"


@pytest.mark.django_db
def test_the_tags_of_a_unit_load_a_user_once(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("beta", rules=[segment_rule("employee")]))
    key = str(UserFactory.create(employee=True).pk)
    with unit_of_work(), CaptureQueriesContext(connection) as queries:
        assert render('{% flag "beta" user=key %}' * 10, key=key) == "True" * 10
    users = [query for query in queries if 'FROM "users_user"' in query["sql"]]
    assert len(users) == 1


@pytest.mark.django_db
def test_the_lazy_user_of_a_request_is_not_read_before_the_facade_asks(
    flag_file: FlagFile,
) -> None:
    """Reading it is an error while the database is down; the facade survives that."""
    flag_file(boolean_flag("beta"))
    user = SimpleLazyObject(fail_to_load)
    request = request_of(user)
    with unit_of_work(request):
        assert render('{% flag "beta" user=person %}', person=user) == "False"
