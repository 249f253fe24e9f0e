"""The search for segments, the same in the admin and the API: key, name, description, and inside the rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from django.db import connections
from django.db.models import Q
from django.utils.text import smart_split, unescape_string_literal

from featureflags.contexts.attributes import catalogue
from featureflags.kinds.registry import kinds

SEARCH_FIELDS: Final = ("key", "name", "description")


def segments_with(text: str, using: str) -> Q:
    """The segments that hold each word of a text (a phrase in quotes counts as one), or all of it in their rules.

    `using`: the alias of the database that is asked.
    """
    words = Q()
    for word in _words(text):
        found = Q()
        for field in SEARCH_FIELDS:
            found |= Q(**{f"{field}__icontains": word})
        words &= found
    return words | _inside_rules(text.strip(), using)


def _words(text: str) -> Iterator[str]:
    for word in smart_split(text):
        is_phrase = len(word) > 1 and word[0] in "\"'" and word[0] == word[-1]
        yield unescape_string_literal(word) if is_phrase else word


def _inside_rules(text: str, using: str) -> Q:
    """Rules with this text in a value, a description, or the label of an attribute."""
    # SQLite keeps the JSON text that Django writes, in ASCII; PostgreSQL's has the letters.
    is_ascii = connections[using].vendor == "sqlite"
    found = Q(rules__icontains=json.dumps(text, ensure_ascii=is_ascii)[1:-1])
    for kind in kinds():
        for name, attribute in catalogue(kind.name).items():
            if text.lower() in str(attribute.label).lower():
                found |= Q(kind=kind.name, rules__icontains=json.dumps(name))
    return found
