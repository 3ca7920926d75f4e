"""How the model in production stands at one look."""

from datetime import timedelta

from builders import NOW, make_spec, make_status
from tuning_operator.observe.production import drift_of, standing
from tuning_store.features import KnownFeatures, Sent
from tuning_store.production import Evidence
from tuning_study.api.status import Best, ProductionStatus, Round
from tuning_study.production.features import counts_of, reference_of

HOUR = timedelta(hours=1)
WATCHED = make_spec(production={"metrics": [{"name": "accuracy", "source": {"push": {"window": "1h"}}}]})
BEST = Best(trial=0, metrics=[], parameters=[])
ENDED = make_status(
    state="Complete",
    rounds=[
        Round(round=1, trigger="Created", start_time=NOW - 72 * HOUR, completion_time=NOW - 71 * HOUR, best=BEST),
        Round(round=2, trigger="Manual", start_time=NOW - 2 * HOUR, completion_time=NOW, best=BEST),
    ],
)


def metric(after: timedelta) -> ProductionStatus:
    [told] = standing(WATCHED, ENDED, Evidence(), None, {}, NOW + after).metrics
    return told


def test_observations_are_missed_from_the_round_on_after_which_they_count() -> None:
    assert not metric(3 * HOUR).stale
    assert metric(4 * HOUR).stale


def test_what_was_degraded_stays_so_without_observations_and_asks_for_nothing() -> None:
    before = ProductionStatus(name="accuracy", degraded_since=NOW - 9 * HOUR, confirmed=True)
    status = ENDED.model_copy(update={"production": [before]})
    [told] = standing(WATCHED, status, Evidence(), None, {}, NOW + HOUR).metrics
    assert (told.degraded_since, told.confirmed) == (before.degraded_since, False)
    assert "degraded before, until observations show that it is well" in told.message


def test_a_window_that_is_not_over_is_told_as_such() -> None:
    ages = reference_of([float(number) for number in range(100)])
    batch = Sent(NOW, counts_of(ages, [5.0] * 1000))
    found = drift_of(make_spec(production={"drift": {}}), KnownFeatures({"age": ages}, {"age": [batch]}))
    assert found is not None
    assert (found.verdict, found.message) == ("Unknown", "the first window of 1h is not over")


def test_how_many_samples_are_missing_is_told() -> None:
    ages = reference_of([float(number) for number in range(100)])
    batch = Sent(NOW, counts_of(ages, [5.0] * 20))
    found = drift_of(make_spec(production={"drift": {}}), KnownFeatures({"age": ages}, {"age": [batch]}))
    assert found is not None
    assert (found.verdict, found.message) == ("Unknown", "no feature can be judged: age: 20 of 500 samples")
