"""Regular expressions of RE2, which no pattern and no fork can make hang.

RE2 builds its automaton while it matches, under its own lock and without Python's. A process that
is forked at such a moment inherits a lock that no thread will release, and would wait for it for
ever. So a forked child compiles each expression anew when it first uses it.
"""

from __future__ import annotations

from typing import Final

import re2

from featureflags.core.fork_hooks import in_child
from featureflags.core.i18n import gettext

_inherited: Final[list[re2._Regexp]] = []
"""What the parent compiled, in a child: never used again, and never freed with its lock held."""
_generation = 0
"""How often this process and its parents were forked."""


class Regex:
    """One expression. It may match anywhere in a text, like LaunchDarkly's `matches`."""

    __slots__ = ("_compiled", "_generation", "_ignore_case", "_pattern")

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        """Raises ValueError with RE2's own words."""
        self._pattern = pattern
        self._ignore_case = ignore_case
        self._compiled = _compile(pattern, ignore_case=ignore_case)
        self._generation = _generation

    def found_in(self, text: str) -> bool:
        """Raises UnicodeEncodeError for a text with half a character, which RE2 cannot see."""
        if self._generation != _generation:
            _inherited.append(self._compiled)
            self._compiled = _compile(self._pattern, ignore_case=self._ignore_case)
            self._generation = _generation
        return self._compiled.search(text) is not None


def _compile(pattern: str, *, ignore_case: bool) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        # RE2 speaks in bytes.
        [words] = error.args or ("?",)
        raise ValueError(words.decode() if isinstance(words, bytes) else str(words)) from error
    except UnicodeEncodeError as error:
        raise ValueError(gettext("it holds half a character (a lone surrogate)")) from error


def _forget_after_fork() -> None:
    global _generation  # noqa: PLW0603 - the one place that holds it
    _generation += 1
    # RE2's Python module remembers expressions too, and would give them out again.
    re2.purge()


in_child(_forget_after_fork)
