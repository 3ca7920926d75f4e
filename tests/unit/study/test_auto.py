"""What Auto is, and what is told of it."""

import pytest

from builders import make_spec
from tuning_study.api.strategy import Sampler
from tuning_study.search.auto import sampler_at, sampler_status

THEN = "Auto: a model finds the most in the first 200 trials; then TPE follows"


@pytest.mark.parametrize(
    ("trials", "taken", "sampler", "reason"),
    [
        (60, 0, "GP", "Auto: with at most 200 trials a model of all of them finds the most"),
        (450, 199, "GP", THEN),
        (None, 0, "GP", THEN),
        (450, 200, "TPE", "Auto: a model (GP) guided the first 200 trials; TPE learns from any number"),
    ],
)
def test_the_choice_and_its_reason(trials: int | None, taken: int, sampler: str, reason: str) -> None:
    spec = make_spec(budget={"trials": trials, "duration": "1h"})
    assert sampler_at(Sampler(), spec, taken).type == sampler
    told = sampler_status(spec, taken)
    assert (told.type, told.reason) == (sampler, reason)


def test_a_sampler_that_is_named_is_taken_and_needs_no_reason() -> None:
    spec = make_spec(strategy={"sampler": {"type": "QMC"}})
    assert sampler_at(spec.phases[0].sampler, spec, 0) is spec.phases[0].sampler
    assert sampler_status(spec, 0).reason is None


def test_it_is_the_sampler_of_the_phase() -> None:
    phases = [{"name": "explore", "trials": 10, "sampler": {"type": "Random"}}, {"name": "exploit", "trials": 90}]
    spec = make_spec(strategy={"phases": phases})
    assert [sampler_status(spec, taken).type for taken in (9, 10)] == ["Random", "GP"]
