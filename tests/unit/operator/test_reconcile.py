"""When a change of the status is worth a write."""

from datetime import timedelta
from typing import Any

import pytest

from builders import NOW, make_status
from tuning_operator.observe import Memory
from tuning_operator.reconcile import _loud, _progress_is_due, _written_before
from tuning_study.status import Best, Pareto, RetuneStatus, TrialCounts, TuningStudyStatus, WorkerCounts

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    "change",
    [
        {"trials": TrialCounts(complete=3)},
        {"best": Best(trial=1, metrics=[], parameters=[])},
        {"pareto": Pareto(size=2)},
        {"workers": WorkerCounts(ready=3)},
        {"phase": "exploit"},
    ],
)
def test_what_changes_with_every_trial_is_quiet(change: dict[str, Any]) -> None:
    assert _loud(make_status(**change)) == _loud(make_status())


@pytest.mark.parametrize(
    "change", [{"state": "Complete"}, {"retune": RetuneStatus(suppressed=1)}, {"completion_time": NOW}]
)
def test_what_a_person_waits_for_is_loud(change: dict[str, Any]) -> None:
    assert _loud(make_status(**change)) != _loud(make_status())


@pytest.mark.parametrize(
    ("age", "since", "due"),
    [
        (10, 4, False),
        (10, 5, True),
        (100, 19, False),
        (100, 20, True),
        (3600, 59, False),
        (3600, 60, True),
    ],
)
def test_counts_are_written_every_fifth_of_the_rounds_age_between_5_and_60_seconds(
    age: int, since: int, due: bool
) -> None:
    status = TuningStudyStatus(start_time=NOW)
    moment = NOW + age * SECOND
    assert _progress_is_due(status, Memory(written_at=moment - since * SECOND), moment) is due


def test_counts_are_written_at_once_while_nobody_has_told_any() -> None:
    assert _progress_is_due(TuningStudyStatus(), Memory(), NOW)
    assert _progress_is_due(TuningStudyStatus(), Memory(written_at=NOW), NOW)


def test_an_operator_that_has_just_started_writes_the_counts_of_many_studies_one_after_another() -> None:
    status, moment = TuningStudyStatus(start_time=NOW), NOW + 3600 * SECOND
    memories = [Memory(written_at=_written_before(NOW, moment)) for _ in range(1000)]
    for seconds, least, most in ((0, 0, 0), (15, 150, 350), (30, 400, 600), (60, 1000, 1000)):
        due = sum(_progress_is_due(status, memory, moment + seconds * SECOND) for memory in memories)
        assert least <= due <= most
