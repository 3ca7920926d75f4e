"""Batches of counts as the windows that are judged: each check looks at samples that no other has looked at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import add

from tuning_study.production.features import Counts


@dataclass(frozen=True)
class Window:
    counts: Counts
    end: datetime
    """When the last of its samples came."""


def last_window(batches: Sequence[tuple[datetime, Counts]], *, length: timedelta, samples: int) -> Window | None:
    """The newest window that is complete: it lasts at least so long, and has at least so many samples. The oldest batch
    comes first. None without one."""
    return next(iter(reversed(list(windows(batches, length, samples)))), None)


def total(counts: Sequence[Counts]) -> Counts:
    """Of one batch or more."""
    return reduce(add, counts)


def windows(batches: Iterable[tuple[datetime, Counts]], length: timedelta, samples: int) -> Iterable[Window]:
    """Those that are complete, the oldest first, as its batches are."""
    begun: datetime | None = None
    held: list[Counts] = []
    for time, counts in batches:
        begun = begun or time
        held.append(counts)
        if time - begun >= length and sum(each.total for each in held) >= samples:
            yield Window(total(held), time)
            begun, held = time, []
