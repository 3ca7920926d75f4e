"""What docs/detectors.md promises of the whole loop, from observations to rounds, with fixed seeds.

`make bench-loop` is the long version."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from unit.operator.watched_study import BASELINE, YEAR, Ending, Shares, WatchedStudy, naive_starts, never_better

WEEK = 168
LABELS = [50, 200, 1000]


def years(labels: int, studies: int = 100) -> NDArray[np.float64]:
    """Of models that are well."""
    return np.random.default_rng(labels).binomial(labels, BASELINE, (studies, YEAR)) / labels


@pytest.mark.parametrize("labels", LABELS)
def test_a_hundred_studies_that_are_well_start_at_most_one_round_a_year(labels: int) -> None:
    starts = [WatchedStudy(year, labels, {}).starts() for year in years(labels)]
    assert sum(map(len, starts)) <= 1


@pytest.mark.parametrize("degraded", [{"falseAlarmsPerWeek": 1}, {"bad": 2, "of": 5}], ids=["evidence", "plain"])
@pytest.mark.parametrize("seed", range(3))
def test_the_hours_that_are_left_out_change_nothing(degraded: dict[str, Any], seed: int) -> None:
    values = np.random.default_rng(seed).binomial(50, BASELINE - 0.03, 2 * WEEK) / 50
    starts = WatchedStudy(values, 50, degraded).starts()
    assert starts == WatchedStudy(values, 50, degraded).starts(every_hour=True)
    assert starts


WELL, FALLEN = (np.random.default_rng(7).binomial(200, share, 4 * WEEK) / 200 for share in (BASELINE, 0.855))


def recovers(values: Shares, hour: int) -> Any:
    values[hour:] = WELL[hour:]
    return "Improved"


def changes_nothing_in_production(_values: Shares, _hour: int) -> Any:
    return "Improved"


@pytest.mark.parametrize(("ending", "rounds"), [(never_better, 3), (recovers, 1), (changes_nothing_in_production, 1)])
def test_a_fall_that_nobody_mends_asks_for_no_more_than_three_rounds(ending: Ending, rounds: int) -> None:
    assert len(WatchedStudy(FALLEN, 200, {}, ending).starts()) == rounds
    assert len(naive_starts(FALLEN)) > 50
