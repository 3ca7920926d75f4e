"""An observation is new evidence, not a poll."""

from datetime import timedelta

import pytest

from builders import NOW
from tuning_operator.observe.new_evidence import new_evidence
from tuning_store.production import Reading
from tuning_study.production.observation import Observation

HOUR = timedelta(hours=1)


def last(value: float = 0.9, counter: float | None = None) -> Reading:
    return Reading("uid-1", "team", "accuracy", Observation(NOW - HOUR, value), counter)


@pytest.mark.parametrize(
    ("before", "value", "counter", "found"),
    [
        (None, 0.9, None, Observation(NOW, 0.9)),
        (last(0.9), 0.8, None, Observation(NOW, 0.8)),
        (None, 0.9, 700.0, Observation(NOW, 0.9, 0)),
        (last(0.9, 700.0), 0.9, 900.0, Observation(NOW, 0.9, 200)),
        (last(0.9, 700.0), 0.9, 50.0, Observation(NOW, 0.9, 50)),  # the program was restarted
        (last(0.9), 0.9, 900.0, Observation(NOW, 0.9, 0)),  # the manifest has named the counter since
    ],
)
def test_what_is_new(before: Reading | None, value: float, counter: float | None, found: Observation) -> None:
    assert new_evidence(before, value, counter, NOW) == found


@pytest.mark.parametrize(("before", "counter"), [(last(0.9), None), (last(0.8, 700.0), 700.0)])
def test_what_nobody_measured_anew_is_not(before: Reading, counter: float | None) -> None:
    found = new_evidence(before, 0.9, counter, NOW)
    assert not isinstance(found, Observation) and found.outcome == "Unchanged"
