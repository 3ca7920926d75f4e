import pytest

from tuning_client.snapshot import RateEstimator, Snapshot, time_left
from tuning_study.budget import Counts


@pytest.mark.parametrize(
    ("used", "target", "rate", "until_deadline", "want"),
    [
        (10, 60, 5.0, None, 10.0),
        (10, 60, 5.0, 4.0, 4.0),
        (10, 60, None, 4.0, 4.0),
        (10, 60, None, None, None),
        (10, None, 5.0, None, None),
        (70, 60, 5.0, None, 0.0),
    ],
)
def test_time_left(
    used: int, target: int | None, rate: float | None, until_deadline: float | None, want: float | None
) -> None:
    assert time_left(Counts(complete=used), target, rate, until_deadline) == want


def test_pace_needs_two_trials_and_forgets() -> None:
    pace = RateEstimator()
    assert pace.rate(0.0, 100) is None, "what was done before the start is not our pace"
    assert pace.rate(1.0, 101) is None
    assert pace.rate(2.0, 104) == 2.0
    for second in range(3, 60):
        pace.rate(float(second), 104)
    assert pace.rate(60.0, 134) == pytest.approx(1.0), "only the last half minute counts"


def test_pace_begins_anew_when_trials_vanish() -> None:
    pace = RateEstimator()
    pace.rate(0.0, 50)
    pace.rate(10.0, 60)
    assert pace.rate(11.0, 0) is None


@pytest.mark.parametrize(("target", "want"), [(None, None), (40, 0.5), (10, 1.0)])
def test_fraction(target: int | None, want: float | None) -> None:
    assert Snapshot("s", "Running", Counts(complete=15, pruned=5), target).fraction == want
