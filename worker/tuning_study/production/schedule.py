"""When a schedule asks for a round: cron's five fields in a time zone. Asked by manifests' checks and by the plan.

Once a day is once a day. A time of the day that a clock change leaves out comes as soon as the clock has moved on, and
one that it repeats comes the first time, as in Debian's cron; what comes every so many minutes or hours keeps its pace.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from tuning_study.exceptions import InvalidSchedule
from tuning_study.text import nearest

MAX_MISSED = 1000
"""That are counted, so that years away cost no more than a day."""

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


@dataclass(frozen=True)
class Due:
    """One run, whatever was missed before it."""

    at: datetime
    """The newest time that has come, in UTC."""
    missed: int
    """Times before it that nobody served; MAX_MISSED stands for that many and more."""


def next_run(schedule: str, zone: str, after: datetime) -> datetime:
    """The first time of the schedule that is later than `after`, which is aware; in UTC. Raises InvalidSchedule."""
    try:
        return next(_runs(schedule, zone, after))
    except StopIteration:
        raise InvalidSchedule(
            f"{_shown(schedule)} never comes: write days that its months have, such as `0 3 1 * *`"
        ) from None


def due(schedule: str, zone: str, last: datetime, now: datetime) -> Due | None:
    """The one run to make now, where `last` is the time that was served last; None if nothing has come since.

    Raises InvalidSchedule.
    """
    if next_run(schedule, zone, last) > now:
        return None
    earlier, later = last, now  # the newest time is after the one, and not after the other
    while later - earlier > timedelta(minutes=1):
        middle = earlier + (later - earlier) / 2
        if next_run(schedule, zone, middle) <= now:
            earlier = middle
        else:
            later = middle
    newest = next_run(schedule, zone, earlier)
    missed = 0
    for run in _runs(schedule, zone, last):
        if run >= newest or missed == MAX_MISSED:
            break
        missed += 1
    return Due(newest, missed)


def _runs(schedule: str, zone: str, after: datetime) -> Iterator[datetime]:
    """All times after that one, each later than the one before; in UTC."""
    local = after.astimezone(_zone(zone))
    newest = after.astimezone(UTC)
    for run in _cron(schedule, local):
        moment = run.astimezone(UTC)
        # In a repeated hour cron's wall clock looks back; two times that a change leaves out are made up for by one.
        if moment > newest:
            yield moment
            newest = moment


def _cron(schedule: str, start: datetime) -> CronSim:
    fields = _MACROS.get(schedule.strip(), schedule)
    if len(fields.split()) != 5:
        raise InvalidSchedule(
            f"{_shown(schedule)} is no schedule: write the five fields minute, hour, day of month, month and day of "
            f"week, such as `0 3 * * 0`, or one of {', '.join(_MACROS)}"
        )
    try:
        return CronSim(fields, start)
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        raise InvalidSchedule(
            f"{_shown(schedule)} is no schedule, by its {field}: write minutes 0-59, hours 0-23, days 1-31, months "
            "1-12 and days of week 0-7, as in `0 3 * * 0` or `*/30 6-22 * * MON-FRI`"
        ) from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: a folder of zones, such as America
        meant = nearest(name, available_timezones()) or "Europe/Berlin"
        raise InvalidSchedule(
            f"{_shown(name)} is no time zone of the IANA database: write one such as {meant}, or UTC"
        ) from None


def _shown(text: str) -> str:
    return repr(text[:64])
