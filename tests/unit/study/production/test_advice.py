"""What is said of a manifest's production and schedule before anything runs."""

from typing import Any

import pytest

from builders import make_manifest_spec, make_spec
from tuning_study.api.verification import Verification
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_spec
from tuning_study.production.advice import advice_on_production


def watching(**metric: Any) -> dict[str, Any]:
    return {"production": {"metrics": [{"name": "accuracy", "source": {"push": {}}} | metric]}}


def test_the_plain_form_is_told_with_its_false_alarms() -> None:
    spec = make_spec(**watching(degraded={"bad": 3, "of": 5}))
    [told] = advice_on_production(spec)
    assert told == (
        "production.metrics.accuracy: 3 bad of 5 is a false alarm within a week with a probability of 0.69 with 50, "
        "0.004 with 200, 3.3e-16 with 1000 samples an observation, at a baseline of 0.9: leave out `bad` and `of`, and "
        "falseAlarmsPerWeek is kept"
    )


@pytest.mark.parametrize(
    "metric",
    [
        {},
        {"degraded": {"ratio": 0.7, "bad": 5, "of": 5}},
        {"baseline": {"value": 5.0}, "degraded": {"bad": 1, "of": 1}},
    ],
)
def test_nothing_is_said_where_alarms_are_rare_or_cannot_be_counted(metric: dict[str, Any]) -> None:
    assert list(advice_on_production(make_spec(**watching(**metric)))) == []


def test_a_second_round_of_one_cause_needs_a_verification() -> None:
    watched = {"metrics": [{"name": "accuracy", "source": {"push": {}}}]}
    spec = make_spec(retune={"triggers": ["Degradation"]}, production=watched)
    [told] = advice_on_production(spec)
    assert told.endswith("one cause asks for no second round: add `verification: {top: 3, repeats: 3}`")
    assert not [*advice_on_production(spec.model_copy(update={"verification": Verification(top=3, repeats=3)}))]


def test_degradation_needs_something_to_watch() -> None:
    [told] = advice_on_production(make_spec(retune={"triggers": ["Degradation"]}))
    assert "add the metrics to watch" in told


@pytest.mark.parametrize(
    ("schedule", "zone", "sentence"),
    [
        ("61 * * * *", "UTC", "is no schedule, by its minute"),
        ("0 0 30 2 *", "UTC", "is no schedule, by its day-of-month"),
        ("0 3 * * 0", "Europe/Berln", "write one such as Europe/Berlin"),
    ],
)
def test_a_schedule_that_is_none_cannot_run(schedule: str, zone: str, sentence: str) -> None:
    retune = {"triggers": ["Schedule"], "schedule": schedule, "timeZone": zone}
    with pytest.raises(InvalidStudy) as refused:
        read_spec(make_manifest_spec(retune=retune))
    assert refused.value.problems[0].startswith("spec.retune.schedule: ")
    assert sentence in refused.value.problems[0]
