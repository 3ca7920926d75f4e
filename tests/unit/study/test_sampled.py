"""Whatever validates can be sampled: every sampler, past its start-up, finds values inside the space as written."""

import math
from typing import Any, get_args

import optuna
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from builders import choice, make_manifest_spec, real, when, whole
from tuning_study.api.options import SAMPLERS
from tuning_study.api.parameters import Parameter
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import SamplerType
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_spec
from tuning_study.search.auto import sampler_at
from tuning_study.search.space import applies, suggest
from tuning_study.search.strategy import build_sampler

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, 1.0, -1.0, 0.1, 0.3, 1e-300, 5e-324, 1e100, -1e100, 1e17, 2.0**53, 1 + 2**-52, 1e-9]
)
WHOLES = st.integers(-(2**53), 2**53) | st.integers(-9, 9) | st.sampled_from([1, 2**53, 2**53 - 1, 2**31, -(2**53)])
SCALE = st.sampled_from([{}, {}, {"scale": "Log"}, {"scale": "Linear"}])


@st.composite
def parameters(draw: st.DrawFn) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for name in "abc"[: draw(st.integers(1, 3))]:
        numbers, make = draw(st.sampled_from([(NUMBERS, real), (WHOLES, whole)]))
        low, high = sorted([draw(numbers), draw(numbers)])
        steps = NUMBERS | st.sampled_from([(high - low) / n for n in (1, 2, 3, 1000, 2**40)])
        step = {"step": draw(steps if make is real else WHOLES)} if draw(st.booleans()) else {}
        made.append(make(name, low, high, **draw(SCALE), **step))
    if draw(st.booleans()):
        made = [choice("k", ["x", "y"]), *made[:-1], made[-1] | when("k", "x")]
    return made


def spec_of(space: list[dict[str, Any]], sampler: str) -> TuningStudySpec:
    """The study as it is read. What does not validate is of no interest here."""
    options = {"nStartupTrials": 2} if "n_startup_trials" in SAMPLERS[sampler] else {}
    options |= {"populationSize": 2} if "population_size" in SAMPLERS[sampler] else {}
    strategy = {"sampler": {"type": sampler, "options": options}}
    try:
        return read_spec(make_manifest_spec(parameters=space, strategy=strategy, budget={"duration": "1h"}))
    except InvalidStudy:
        assume(False)
        raise


def is_in(parameter: Parameter, value: Any) -> bool:
    if parameter.type == "Categorical":
        return value in (parameter.values or [])
    assert parameter.min is not None and parameter.max is not None
    whole_enough = isinstance(value, int) if parameter.type == "Int" else math.isfinite(value)
    return whole_enough and parameter.min <= value <= parameter.max


@pytest.mark.parametrize("sampler", get_args(SamplerType))
@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore:The distribution is specified by:UserWarning")
# Subnormal losses overflow in Optuna's own normalisation (NSGAIII), whatever the space.
@example(space=[choice("k", ["x", "y"]), real("a", 0.0, 0.0, step=5e-324)], losses=[0.0] * 6)
@given(space=parameters(), losses=st.lists(st.floats(-9, 9, allow_subnormal=False), min_size=6, max_size=6))
def test_every_sampler_stays_in_the_space(sampler: Any, space: list[dict[str, Any]], losses: list[float]) -> None:
    spec = spec_of(space, sampler)
    study = optuna.create_study()
    for number, loss in enumerate(losses):
        study.sampler = build_sampler(
            sampler_at(spec.phases[0].sampler, spec, number), spec, study_seed=7, trial_seed=number
        )
        trial = study.ask()
        point = suggest(trial, spec.parameters)
        for parameter in spec.parameters:
            assert (parameter.name in point) is applies(parameter, point)
            assert parameter.name not in point or is_in(parameter, point[parameter.name]), (parameter, point)
        study.tell(trial, loss)
