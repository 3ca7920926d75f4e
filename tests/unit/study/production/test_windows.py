"""Each check looks at samples that no other has looked at."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tuning_study.production.features import Counts
from tuning_study.production.windows import Window, last_window

HOUR = timedelta(hours=1)
START = datetime(2026, 11, 26, tzinfo=UTC)


def batches(*sizes: int, every: timedelta = HOUR / 2) -> list[tuple[datetime, Counts]]:
    return [(START + number * every, Counts((size, 0))) for number, size in enumerate(sizes)]


def last(given: Sequence[tuple[datetime, Counts]]) -> Window | None:
    return last_window(given, length=HOUR, samples=100)


def test_a_window_lasts_long_enough_and_has_samples_enough() -> None:
    assert last(batches(200)) is None
    assert last(batches(10, 10, 10)) is None
    assert last(batches(50, 40, 10)) == Window(Counts((100, 0)), START + HOUR)


def test_the_next_one_begins_behind_it() -> None:
    found = last(batches(50, 50, 50, 70, 40, 1))
    assert found == Window(Counts((110, 0)), START + 2 * HOUR)
