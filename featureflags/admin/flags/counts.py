"""A count of the users who get each value of a flag, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from featureflags.admin.charts import bar
from featureflags.admin.flags.list import Known
from featureflags.editing import moment_in_words
from featureflags.inspection import variation_counts
from featureflags.inspection.outcomes import Outcome, interval, outcomes
from featureflags.models import FlagCount
from featureflags.segments.formatting import show


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRow:
    """How many users get one value, and why."""

    value: str
    users: str
    share: str
    chart: SafeString
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountView:
    """One count, in words."""

    pk: int
    state: str
    is_running: bool
    is_abandoned: bool
    percent: int
    headline: str
    notes: tuple[str, ...]
    rows: tuple[ValueRow, ...]


def count_view(count: FlagCount, known: Known) -> CountView:
    """A count as the page shows it."""
    is_running = count.state == FlagCount.State.RUNNING
    planned = max(1, count.users_planned)
    percent = min(100, count.users_counted * 100 // planned)
    return CountView(
        pk=count.pk,
        state=count.get_state_display(),
        is_running=is_running,
        is_abandoned=variation_counts.is_abandoned(count),
        percent=100 if count.state == FlagCount.State.DONE else percent,
        headline=_headline(count),
        notes=tuple(_notes(count, known)),
        rows=tuple(value_rows(count)),
    )


def _headline(count: FlagCount) -> str:
    said = {
        "counted": f"{count.users_counted:,}",
        "planned": f"{count.users_planned:,}",
        "at": moment_in_words(count.finished_at or count.started_at),
    }
    if count.state == FlagCount.State.RUNNING:
        return _("%(counted)s of %(planned)s users counted.") % said
    if count.state != FlagCount.State.DONE:
        return _("%(counted)s of %(planned)s users counted, until %(at)s.") % said
    if count.is_sample:
        return _("A random sample of %(counted)s users, %(at)s.") % said
    return _("All %(counted)s users, %(at)s.") % said


def _notes(count: FlagCount, known: Known) -> Iterator[str]:
    if count.error:
        yield _("It failed: %s") % _(count.error)
    if count.has_changed:
        yield _(
            "The flag or a segment changed during the count: some users were counted before it."
        )
    served = known.served.get(count.flag)
    if count.flag_version and served is not None and served.version != count.flag_version:
        yield _("The flag has changed since.")


def value_rows(count: FlagCount) -> list[ValueRow]:
    """By value, the most users first."""
    found = sorted(outcomes(count.tally), key=lambda each: each.what[1])
    values = [(value, list(each)) for value, each in groupby(found, lambda each: each.what[1])]
    rows = sorted(values, key=lambda each: -sum(outcome.users for outcome in each[1]))
    return [_value_row(same, count) for _value, same in rows]


def _value_row(found: list[Outcome], count: FlagCount) -> ValueRow:
    users = sum(outcome.users for outcome in found)
    share = users / count.users_counted
    shown = _("%.1f %%") % (share * 100)
    if count.is_sample:
        low, high = interval(users, count.users_counted)
        bounds = {"share": shown, "low": low * 100, "high": high * 100}
        shown = _("%(share)s, between %(low).1f and %(high).1f %%") % bounds
    ways = sorted(found, key=lambda each: -each.users)
    return ValueRow(
        value=show(found[0].value),
        users=f"{users:,}",
        share=shown,
        chart=bar(share),
        ways=tuple(f"{_way(each)}: {each.users:,}" for each in ways),
    )


def _way(outcome: Outcome) -> str:
    texts = {
        "OFF": _("the flag is off"),
        "FALLTHROUGH": _("default rule"),
        "TARGET_MATCH": _("targeted by key"),
        "RULE_MATCH": _("rule %s") % outcome.rule,
        "PREREQUISITE_FAILED": _("a prerequisite"),
        "FORCED": _("forced by an environment variable"),
        "OVERRIDE": _("overridden"),
    }
    if outcome.reason in texts:
        return texts[outcome.reason]
    return _("no answer (%s), the default") % outcome.reason.partition(":")[2]
