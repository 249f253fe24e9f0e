"""Flags in templates.

    {% load featureflags %}
    {% flag "new-checkout" %}…{% else %}…{% endflag %}
    {% flag "new-checkout" as is_new %}
    {% flag "accent-colour" %}                          writes the value, if no endflag follows
    {% flag_value "accent-colour" "slate" as colour %}  the value, or the given default
    {% flags_bootstrap %}                               what LaunchDarkly's SDK in the page starts with

The block and `as` ask whether a boolean flag is on. An `{% endflag %}` closes the nearest open
`{% flag %}` of the same block. Each tag takes `user=` (a User, or the key of a user) and then
ignores the request: use it in an e-mail, or for another user than the reader of the page. `for=` is
the same for rows of any kind (`for=organization`, `for="organization:acme"`), and may be repeated: then
the flag is asked for all of them together. Without either the tag asks for the user or visitor of the
request; without a request, for an anonymous visitor.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from django import template
from django.http import HttpRequest
from django.template.base import (
    FilterExpression,
    Node,
    NodeList,
    Parser,
    Token,
    TokenType,
    render_value_in_context,
)
from django.template.context import Context
from django.utils.functional import Promise
from django.utils.html import json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from featureflags.core.monitoring import report
from featureflags.core.types import JSONValue
from featureflags.evaluation import is_enabled, variation
from featureflags.evaluation.arguments import parse_subject
from featureflags.flags.declared import Flag
from featureflags.live.bootstrap import bootstrap

logger = logging.getLogger(__name__)
register = template.Library()

FLAG = "flag"
END = "end"
COMMENT = "comment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The flag that a tag asks for, with its subjects and default where it has them."""

    flag: FilterExpression
    subjects: tuple[FilterExpression, ...] = ()
    default: FilterExpression | None = None

    def is_on(self, context: Context) -> bool:
        """True if the flag is on; False where the template names no flag."""
        flag = _flag_of(self.flag, context)
        if flag is None:
            return False
        user, request = self._subject(context)
        return is_enabled(flag, user, request=request)

    def value(self, context: Context) -> JSONValue:
        """The flag's value; the default where the template names no flag."""
        default: JSONValue | None = None
        if self.default is not None:
            default = _plain(self.default.resolve(context, ignore_failures=True))
        flag = _flag_of(self.flag, context)
        if flag is None:
            return default
        user, request = self._subject(context)
        if self.default is None:
            return variation(flag, user, request=request)
        return variation(flag, user, default=default, request=request)

    def _subject(self, context: Context) -> tuple[Any, HttpRequest | None]:
        if not self.subjects:
            return None, _request_of(context)
        found = [_one(each.resolve(context, ignore_failures=True)) for each in self.subjects]
        # Of several, those that the page does not have are left out.
        known = [each for each in found if each is not None]
        return (known if len(known) > 1 else next(iter(known), None)), None


class FlagBlockNode(Node):
    """`{% flag "x" %}…{% else %}…{% endflag %}`"""

    child_nodelists = ("nodelist_on", "nodelist_off")

    def __init__(self, question: Question, nodelist_on: NodeList, nodelist_off: NodeList) -> None:
        self.question = question
        self.nodelist_on = nodelist_on
        self.nodelist_off = nodelist_off

    def render(self, context: Context) -> SafeString:
        is_on = self.question.is_on(context)
        return (self.nodelist_on if is_on else self.nodelist_off).render(context)


class FlagAsNode(Node):
    """`{% flag "x" as name %}`"""

    def __init__(self, question: Question, name: str) -> None:
        self.question = question
        self.name = name

    def render(self, context: Context) -> SafeString:
        context[self.name] = self.question.is_on(context)
        return SafeString()


class ValueNode(Node):
    """`{% flag "x" %}` without an `{% endflag %}`, and `{% flag_value "x" … %}`."""

    def __init__(self, question: Question, name: str | None = None) -> None:
        self.question = question
        self.name = name

    def render(self, context: Context) -> SafeString:
        value = self.question.value(context)
        if self.name is not None:
            context[self.name] = value
            return SafeString()
        if value is None:
            return SafeString()
        # render_value_in_context escapes it, unless the template has turned that off.
        return mark_safe(render_value_in_context(value, context))  # noqa: S308


@register.tag(FLAG)
def flag(parser: Parser, token: Token) -> Node:
    """A flag as a block, as a variable, or as its value where no `{% endflag %}` follows."""
    arguments, name = _split(token)
    question = _question(parser, arguments, most=1)
    if name is not None:
        return FlagAsNode(question, name)
    if not _is_closed(parser):
        return ValueNode(question)
    nodelist_on = parser.parse(("else", END + FLAG))
    nodelist_off = NodeList()
    if parser.next_token().contents == "else":
        nodelist_off = parser.parse((END + FLAG,))
        parser.delete_first_token()
    return FlagBlockNode(question, nodelist_on, nodelist_off)


@register.tag
def flag_value(parser: Parser, token: Token) -> Node:
    """The value of a flag of any type. The second argument is the default."""
    arguments, name = _split(token)
    return ValueNode(_question(parser, arguments, most=2), name)


@register.simple_tag(takes_context=True)
def flags_bootstrap(context: Context, element_id: str = "guidon-flags") -> SafeString:
    """A script element with JSON: flags for browsers, the context, its hash; see
    `featureflags.live.bootstrap`."""
    return json_script(bootstrap(_request_of(context)), element_id)


def _split(token: Token) -> tuple[list[str], str | None]:
    """The arguments of a tag, and the name behind `as`."""
    _tag, *arguments = token.split_contents()
    if len(arguments) >= 2 and arguments[-2] == "as":
        return arguments[:-2], arguments[-1]
    return arguments, None


def _question(parser: Parser, arguments: list[str], *, most: int) -> Question:
    """What the arguments of a tag ask: one flag, `most` - 1 defaults at most, and one `user=` at most, or
    any number of `for=`.

    Raises TemplateSyntaxError for anything else.
    """
    named = [argument for argument in arguments if argument.startswith(("user=", "for="))]
    plain = [argument for argument in arguments if argument not in named]
    is_user = any(argument.startswith("user=") for argument in named)
    if not 1 <= len(plain) <= most or (is_user and len(named) > 1):
        raise template.TemplateSyntaxError(
            _(
                "The tag takes one flag, and at most one user, or subjects of different kinds: {%% flag "
                '"key" user=somebody %%}, {%% flag "key" for=organization %%}. Found: %s'
            )
            % (" ".join(arguments) or _("nothing"))
        )
    return Question(
        flag=parser.compile_filter(plain[0]),
        default=parser.compile_filter(plain[1]) if len(plain) > 1 else None,
        subjects=tuple(parser.compile_filter(each.partition("=")[2]) for each in named),
    )


def _is_closed(parser: Parser) -> bool:
    """True if an `{% endflag %}` ahead closes the tag that was read last.

    Only an end tag shows that a tag is a block. So every tag ahead is pushed on a stack, and an end
    tag pops all of them down to the one that it closes.
    """
    open_tags: list[str] = []
    for name in _tags_ahead(parser):
        is_end = name.startswith(END) and name not in parser.tags
        started = name.removeprefix(END)
        if not is_end:
            open_tags.append(name)
        elif started in open_tags:
            while open_tags.pop() != started:
                pass
        else:
            # It closes a tag that was open before: this flag, or a block around it.
            return started == FLAG
    return False


def _tags_ahead(parser: Parser) -> Iterable[str]:
    """The names of the tags that may open or close a block, in the order of the template."""
    is_comment = False
    # Django keeps the tokens in reverse, and takes them from the end.
    for token in reversed(cast("list[Token]", parser.tokens)):
        name = token.contents.split(maxsplit=1)[0] if token.contents.strip() else ""
        if token.token_type is not TokenType.BLOCK or not name:
            continue
        if is_comment or name == COMMENT:
            is_comment = name != END + COMMENT
        elif name != FLAG or _split(token)[1] is None:
            yield name


def _flag_of(expression: FilterExpression, context: Context) -> Flag | str | None:
    found = expression.resolve(context, ignore_failures=True)
    if isinstance(found, Flag):
        return found
    if isinstance(found, str) and found:
        return str(_plain(found))
    message = "A template asks for a flag by %r, which is not a key."
    report(logger, "template_without_flag", message, str(expression))
    return None


def _one(subject: Any) -> Any:
    # Look at nothing but the type: any other access to `request.user` reads the database. The
    # facade does that, and handles a failure.
    if type(subject) not in {str, SafeString}:
        return subject
    # An empty variable means nobody. It never means the reader of the page.
    return parse_subject(subject[:]) if subject else None


def _plain(value: JSONValue | Promise) -> JSONValue:
    """Plain text instead of safe or lazy text: LaunchDarkly accepts JSON only."""
    text = str(value) if isinstance(value, Promise) else value
    # A slice of a marked string is a plain one; `str()` gives the marked one back.
    return text[:] if isinstance(text, str) else text


def _request_of(context: Context) -> HttpRequest | None:
    request = getattr(context, "request", None) or context.get("request")
    # Django REST Framework wraps the request.
    request = getattr(request, "_request", request)
    return request if isinstance(request, HttpRequest) else None
