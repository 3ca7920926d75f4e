"""When a change of the status is worth a write."""

from datetime import timedelta
from typing import Any

import pytest

from builders import NOW, make_status
from tuning_operator.publish import StatusWriter, is_worth_a_write, without_counts
from tuning_study.api.status import Best, Pareto, RetuneStatus, TrialCounts, TuningStudyStatus, WorkerCounts

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
    assert without_counts(make_status(**change)) == without_counts(make_status())


@pytest.mark.parametrize(
    "change", [{"state": "Complete"}, {"retune": RetuneStatus(suppressed=1)}, {"completion_time": NOW}]
)
def test_what_a_person_waits_for_iswithout_counts(change: dict[str, Any]) -> None:
    assert without_counts(make_status(**change)) != without_counts(make_status())


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
    assert StatusWriter(moment - since * SECOND).is_due(status, moment) is due


def test_counts_are_written_at_once_while_nobody_has_told_any() -> None:
    assert StatusWriter().is_due(TuningStudyStatus(), NOW)
    assert StatusWriter(NOW).is_due(TuningStudyStatus(), NOW)


@pytest.mark.parametrize(
    ("change", "due", "worth"),
    [
        ({}, True, False),
        ({"trials": TrialCounts(complete=3)}, False, False),
        ({"trials": TrialCounts(complete=3)}, True, True),
        ({"round": 2}, False, True),
        ({"state": "Suspended", "trials": TrialCounts(complete=3)}, False, True),
    ],
)
def test_a_write_is_worth_it_when_its_time_has_come_or_a_person_waits(
    change: dict[str, Any], due: bool, worth: bool
) -> None:
    assert is_worth_a_write(make_status(), make_status(**change), due=due) is worth


def test_an_operator_that_has_just_started_writes_the_counts_of_many_studies_one_after_another() -> None:
    status, moment = TuningStudyStatus(start_time=NOW), NOW + 3600 * SECOND
    writers = [StatusWriter() for _ in range(1000)]
    for writer in writers:
        writer.take_over(status, moment)
    for seconds, least, most in ((0, 0, 0), (15, 150, 350), (30, 400, 600), (60, 1000, 1000)):
        due = sum(writer.is_due(status, moment + seconds * SECOND) for writer in writers)
        assert least <= due <= most
