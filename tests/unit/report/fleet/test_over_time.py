"""Observations and drift as lines."""

from datetime import datetime

from builders import NOW
from fleets import HOUR, observed, sent
from tuning_report.fleet.over_time import MOST_FEATURES, MOST_POINTS, over_time
from tuning_store.features import KnownFeatures, Sent
from tuning_store.production import Evidence
from tuning_study.api.production import Drift
from tuning_study.production.features import Counts, Reference
from tuning_study.production.observation import Observation

RULE = Drift(window=HOUR, min_samples=100)
EVEN = Reference(Counts((50, 50)), edges=(0.0,))


def batches(*counts: tuple[int, int]) -> list[Sent]:
    return [Sent(NOW + place * HOUR, Counts(each)) for place, each in enumerate(counts)]


def test_observations_are_points_in_their_order() -> None:
    told = [Observation(NOW + HOUR, 0.9, 20), Observation(NOW, 0.95)]
    points = over_time(Evidence(observations={"accuracy": told}), KnownFeatures(), None)["metrics"]["accuracy"]
    assert [(datetime.fromisoformat(time), *rest) for time, *rest in points] == [
        (NOW, 0.95, None),
        (NOW + HOUR, 0.9, 20),
    ]


def test_many_observations_are_joined_with_their_neighbours() -> None:
    points = over_time(observed(NOW, windows=2060), KnownFeatures(), None)["metrics"]["accuracy"]
    assert len(points) <= MOST_POINTS
    told = observed(NOW, windows=2060).observations["accuracy"]
    assert datetime.fromisoformat(points[-1][0]) == told[-1].time
    assert sum(samples for _, _, samples in points) == sum(one.samples or 0 for one in told)


def test_drift_has_a_point_for_each_window_that_was_judged() -> None:
    features = KnownFeatures({"age": EVEN}, {"age": batches((50, 50), (50, 50), (90, 10), (90, 10))})
    (line,) = over_time(Evidence(), features, RULE)["drift"]
    assert line["feature"] == "age"
    first, _, last = line["points"]
    assert first[1] < 0.01 < 0.2 < last[1]
    assert datetime.fromisoformat(last[0]) == NOW + 3 * HOUR


def test_too_few_samples_make_no_point() -> None:
    features = KnownFeatures({"age": EVEN}, {"age": batches((2, 2), (2, 2))})
    assert over_time(Evidence(), features, RULE)["drift"] == []


def test_a_feature_that_is_not_watched_or_not_in_the_reference_is_no_line() -> None:
    told = batches((90, 10), (90, 10))
    features = KnownFeatures({"age": EVEN, "income": EVEN}, {"age": told, "income": told, "new": told})
    lines = over_time(Evidence(), features, RULE.model_copy(update={"features": ["age", "new"]}))["drift"]
    assert [line["feature"] for line in lines] == ["age"]


def test_counts_in_bins_of_another_reference_are_left_out() -> None:
    features = KnownFeatures({"age": EVEN}, {"age": [Sent(NOW, Counts((1, 2, 300))), *batches((90, 10), (90, 10))]})
    (line,) = over_time(Evidence(), features, RULE)["drift"]
    assert len(line["points"]) == 1


def test_the_farthest_features_are_drawn() -> None:
    names = [f"f{place}" for place in range(20)]
    told = {name: batches((100, 100), (100 + 5 * place, 100)) for place, name in enumerate(names)}
    lines = over_time(Evidence(), KnownFeatures(dict.fromkeys(names, EVEN), told), RULE)["drift"]
    assert [line["feature"] for line in lines] == names[::-1][:MOST_FEATURES]


def test_a_study_that_watches_no_feature_has_none() -> None:
    assert over_time(Evidence(), sent(NOW), None)["drift"] == []
