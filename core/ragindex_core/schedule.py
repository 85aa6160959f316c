"""When a cron schedule fires. Time zones and their changes of clock are honoured; ``now`` is always an argument.

The accepted syntax is what both this reader and Kubernetes' CronJob understand in the same way, so that an object means
the same on a laptop and in a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
#: Any moment serves to ask whether an expression can ever fire.
_PROBE = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A five-field cron expression in an IANA time zone, both already checked."""

    expression: str
    time_zone: str

    def next_after(self, moment: datetime) -> datetime:
        """The first time after ``moment`` at which the schedule fires, in UTC.

        A fixed hour that the clock skips in spring fires right after the jump; one it repeats in autumn fires once.
        """
        local = moment.astimezone(ZoneInfo(self.time_zone))
        return next(CronSim(self.expression, local)).astimezone(UTC)

    def due(self, since: datetime, now: datetime) -> bool:
        """Whether it fired after ``since`` and not after ``now``. However many firings were missed, they are one."""
        return self.next_after(since) <= now


@lru_cache(maxsize=1024)
def time_zone_problem(name: str) -> str | None:
    """What is wrong with a time zone, said to the person who wrote it."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f'"{name}" is not an IANA time zone; write one such as Etc/UTC or Europe/Berlin'
    return None


@lru_cache(maxsize=1024)
def expression_problem(expression: str) -> str | None:
    """What is wrong with a cron expression, said to the person who wrote it."""
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        return f"write five fields ({', '.join(_FIELDS)}), not {len(fields)}"
    for name, field in zip(_FIELDS, fields, strict=True):
        if (problem := _foreign_syntax(name, field)) is not None:
            return problem
    if problem := _ambiguous_days(fields[2], fields[4]):
        return problem
    try:
        next(CronSim(expression, _PROBE))
    except CronSimError as error:
        said = str(error).removeprefix("Bad ").replace("-", " ")
        return f"the field for {said} is not valid cron; ranges are 0-59, 0-23, 1-31, 1-12 and 0-6 (0 is Sunday)"
    except StopIteration:
        return "this expression never fires"
    return None


def _foreign_syntax(name: str, field: str) -> str | None:
    """Forms that one of the two readers does not know."""
    upper = field.upper()
    if name == "day of month" and "L" in upper:
        return 'the last day of a month cannot be written as "L"'
    if name == "day of week" and any("7" in part.split("/")[0] for part in upper.split(",")):
        return "write Sunday as 0, not 7"
    if name == "day of week" and any(part[:-1].isdigit() and part.endswith("L") for part in upper.split(",")):
        return 'the last weekday of a month cannot be written with "L"'
    if "#" in field:
        return 'the n-th weekday of a month cannot be written with "#"'
    return None


def _ambiguous_days(day_of_month: str, day_of_week: str) -> str | None:
    """Cron readers join two restricted day fields by "or", but disagree when one is ``*/n``."""
    if "*" in (day_of_month, day_of_week):
        return None
    if day_of_month.startswith("*") or day_of_week.startswith("*"):
        return "cron readers disagree about */n in one day field beside a restricted other; restrict only one of them"
    return None
