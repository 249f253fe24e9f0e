"""A regular expression tried on an example, for the editor of rules. Nothing is read and nothing is written."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from featureflags.admin.rule_editor.preview import may_preview
from featureflags.segments.formatting import show
from featureflags.segments.regexes import Regex

LONGEST = 10_000
"""Characters of an expression and of an example."""


@require_POST
def try_expression(request: HttpRequest, *, site: AdminSite) -> JsonResponse:
    """Whether each expression is found in a text: JSON `{"results": [{"matches", "words"}]}`, always 200.

    POST: `pattern`, any number of times, `text`, and `ignore_case`. `matches` is null for an expression
    that RE2 refuses. It takes the permission to view, change or add segments.
    """
    del site
    may_preview(request)
    text, ignore_case = request.POST.get("text", ""), bool(request.POST.get("ignore_case"))
    patterns = request.POST.getlist("pattern")
    results = [_tried(pattern, text, ignore_case=ignore_case) for pattern in patterns]
    return JsonResponse(
        {"results": [{"matches": matches, "words": words} for matches, words in results]}
    )


def _tried(pattern: str, text: str, *, ignore_case: bool) -> tuple[bool | None, str]:
    """Whether it matches, and words for it."""
    shown = {"pattern": show(pattern)}
    if max(len(pattern), len(text)) > LONGEST:
        return None, _(
            "%(pattern)s: an expression and an example have 10,000 characters at most."
        ) % shown
    try:
        matches = Regex(pattern, ignore_case=ignore_case).found_in(text)
    except ValueError as error:
        return None, _("%(pattern)s is not a valid expression: %(error)s") % {
            **shown,
            "error": error,
        }
    words = _("%(pattern)s matches.") if matches else _("%(pattern)s does not match.")
    return matches, words % shown
