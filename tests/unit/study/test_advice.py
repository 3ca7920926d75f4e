"""What a manifest's author is warned of, though the study would run."""

from typing import Any

import pytest

from builders import MAXIMIZE, MINIMIZE, choice, make_spec, real, when, whole
from tuning_study.advice import advice

REALS = [real("x"), real("y"), real("z")]
MIXED = [real("x"), choice("kernel"), whole("degree", 2, 5, **when("kernel", "poly"))]


def advised(sampler: str, trials: int = 500, options: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    strategy = {"sampler": {"type": sampler, "options": options or {}}}
    return advice(make_spec(strategy=strategy, budget={"trials": trials}, **fields))


@pytest.mark.parametrize("sampler", ["Random", "QMC", "TPE", "CmaEs", "GP", "NSGAII"])
def test_a_sampler_in_its_own_field_is_not_warned_of(sampler: str) -> None:
    assert advised(sampler, parameters=REALS) == []


def test_a_budget_that_is_too_large_for_a_gaussian_process() -> None:
    assert advised("GP", 1000, parameters=REALS) == []
    (sentence,) = advised("GP", 1001, parameters=REALS)
    assert sentence == "strategy: GP computes for seconds before each of 1001 trials: beyond 1000 use TPE"


def test_only_the_phase_of_the_gaussian_process_counts() -> None:
    phases = [{"name": "a", "trials": 200, "sampler": {"type": "GP"}}, {"name": "b", "trials": 1}]
    assert advice(make_spec(strategy={"phases": phases}, budget={"trials": 5000})) == []


def test_more_parameters_than_a_gaussian_process_learns() -> None:
    (sentence,) = advised("GP", parameters=[real(f"x{index}") for index in range(21)])
    assert "21 parameters" in sentence


def test_cma_es_draws_some_parameters_at_random() -> None:
    (sentence,) = advised("CmaEs", parameters=MIXED)
    assert "at random (kernel, degree)" in sentence


def test_cma_es_has_nothing_to_draw() -> None:
    (sentence,) = advised("CmaEs", parameters=MIXED[1:])
    assert "all is drawn at random" in sentence


def test_cma_es_follows_one_objective() -> None:
    (sentence,) = advised("CmaEs", parameters=REALS, metrics=[MAXIMIZE, MINIMIZE])
    assert "the first objective alone (accuracy)" in sentence


def test_cma_es_pays_no_heed_to_constraints() -> None:
    metrics = [MAXIMIZE, {"name": "size"}]
    (sentence,) = advised("CmaEs", parameters=REALS, metrics=metrics, constraints=[{"metric": "size", "max": 1}])
    assert "no heed to constraints" in sentence


def test_cma_es_needs_ten_generations() -> None:
    assert advised("CmaEs", 70, parameters=REALS) == []
    (sentence,) = advised("CmaEs", 69, parameters=REALS)
    assert "generations of 7, and 69 trials" in sentence
    (sentence,) = advised("CmaEs", 199, {"popsize": 20}, parameters=REALS)
    assert "generations of 20" in sentence


def test_cma_es_with_more_workers_than_a_generation_has_members() -> None:
    assert advised("CmaEs", parameters=REALS, workers={"replicas": 7}) == []
    (sentence,) = advised("CmaEs", parameters=REALS, workers={"replicas": 8})
    assert sentence.endswith("7 workers are enough")


def test_a_sequence_that_is_even_only_where_nothing_is_conditional() -> None:
    (sentence,) = advised("QMC", parameters=MIXED)
    assert "; degree may be drawn at random" in sentence
