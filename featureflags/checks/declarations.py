"""Checks of the flags that a project declares, forces and asks for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from django.core.checks import (
    CheckMessage,
    Error,
    Warning,  # noqa: A004 - Django's name
    register,
)

from featureflags.contexts.attributes import declaration_problems
from featureflags.contexts.json_limits import json_problem
from featureflags.core.conf import app_settings
from featureflags.flags.code_search import closest, project_uses
from featureflags.flags.declared import Flag, FlagType, declared_flags, flag_problems
from featureflags.flags.overrides import FORCE_PREFIX, environment_name, read_forced
from featureflags.models import KEY

FLAGS_HINT = "It is the dotted path to a list of featureflags.flags.Flag."
ATTRIBUTES_HINT = "Each is the dotted path to a featureflags.contexts.attributes.Attribute."


@register("featureflags")
def check_declarations(**_: Any) -> list[CheckMessage]:
    """E001: FLAGS cannot be used. E002: a declared flag is not complete. E003: ATTRIBUTES."""
    messages: list[CheckMessage] = [
        Error(f"FEATUREFLAGS['FLAGS']: {why}", hint=FLAGS_HINT, id="featureflags.E001")
        for why in flag_problems()
    ]
    for flag in declared_flags().values():
        messages += [Error(why, id="featureflags.E002") for why in _flag_problems(flag)]
    messages += [
        Error(f"FEATUREFLAGS['ATTRIBUTES']: {why}", hint=ATTRIBUTES_HINT, id="featureflags.E003")
        for why in declaration_problems()
    ]
    return messages


def _flag_problems(flag: Flag) -> Iterable[str]:
    if not KEY.match(flag.key):
        yield (
            f"The flag {flag.key!r} has a key that LaunchDarkly refuses: use letters, digits, "
            "dots, dashes and underscores."
        )
    if not flag.description.strip():
        yield f"The flag {flag.key!r} has no description."
    if not flag.owner.strip():
        yield f"The flag {flag.key!r} has no owner."
    why = json_problem(flag.default)
    if why is not None:
        yield f"The default of the flag {flag.key!r} {why}."


@register("featureflags")
def check_forced_flags(**_: Any) -> list[CheckMessage]:
    """W004: a FORCE_FLAG_ variable is neither true nor false. W005: it forces nothing declared."""
    forced, unreadable = read_forced(os.environ)
    messages: list[CheckMessage] = [
        Warning(f"{name} is neither true nor false: it has no effect.", id="featureflags.W004")
        for name in unreadable
    ]
    known = {environment_name(key): flag for key, flag in declared_flags().items()}
    for name in sorted(forced):
        flag = known.get(name)
        if flag is None:
            why = "no flag of that name is declared."
        elif flag.type is not FlagType.BOOLEAN:
            why = f"the flag {flag.key!r} is not a boolean, but a {flag.type.value}."
        else:
            continue
        messages.append(Warning(f"{FORCE_PREFIX}{name}: {why}", id="featureflags.W005"))
    return messages


@register("featureflags")
def check_used_flags(**_: Any) -> list[CheckMessage]:
    """E006: code or a template asks for a flag that is one slip away from a declared one.
    W007: it asks for one that is not declared."""
    declared = declared_flags()
    if not declared:
        return []
    messages: list[CheckMessage] = []
    for use in project_uses():
        if use.key in declared:
            continue
        meant = closest(use.key, declared)
        if meant is not None:
            text = f"{use}: no flag {use.key!r} is declared. Did you mean {meant!r}?"
            messages.append(Error(text, id="featureflags.E006"))
        else:
            text = f"{use}: the flag {use.key!r} is not declared in {app_settings().flags}."
            messages.append(Warning(text, id="featureflags.W007"))
    return messages
