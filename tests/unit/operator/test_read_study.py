"""A study as the API server shows it."""

from typing import Any

from tuning_operator.observe.study import read_study

SPEC: dict[str, Any] = {
    "metrics": [{"name": "loss", "direction": "Minimize"}],
    "objective": {"python": {"function": "m:f"}},
    "budget": {"trials": 3},
}


def body(**spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "team", "name": "s", "uid": "u", "generation": 1, "resourceVersion": "7"}
    return {"metadata": metadata, "spec": SPEC | spec}


def test_what_a_newer_resource_definition_adds_does_not_stop_the_operator_that_is_being_replaced() -> None:
    study = read_study(body(budget={"trials": 3, "newLimit": 5}, novelty={"deep": [1]}))
    assert study.problems == ()
    assert study.spec is not None and study.spec.budget.trials == 3


def test_an_option_that_a_sampler_does_not_have_is_told() -> None:
    """The definition takes any option, so it is nobody else's affair."""
    study = read_study(body(strategy={"sampler": {"type": "TPE", "options": {"nStartup": 3}}}))
    assert "TPE has no option 'nStartup'" in study.problems[0]


def test_what_cannot_run_is_told() -> None:
    assert read_study(body(budget={})).problems != ()
