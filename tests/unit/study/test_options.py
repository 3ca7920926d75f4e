"""Options of samplers and pruners: one table says whose each is, and each arrives at Optuna as it was written."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import optuna
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from builders import make_manifest_spec, make_spec, real, whole
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_spec
from tuning_study.options import PRUNERS, SAMPLERS, PrunerOptions, SamplerOptions
from tuning_study.space import suggest
from tuning_study.spec import Pruner, PrunerType, Sampler, SamplerType
from tuning_study.strategy import build_pruner, build_sampler


def problem(part: str, kind: str, **options: Any) -> str:
    with pytest.raises(InvalidStudy) as refused:
        read_spec(make_manifest_spec(strategy={part: {"type": kind, "options": options}}))
    (found,) = refused.value.problems
    return found


def test_the_tables_have_every_type_and_every_option() -> None:
    assert (set(SAMPLERS), set(PRUNERS)) == (set(get_args(SamplerType)), set(get_args(PrunerType)))
    assert {name for known in SAMPLERS.values() for name in known} == set(SamplerOptions.model_fields)
    assert {name for known in PRUNERS.values() for name in known} == set(PrunerOptions.model_fields)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_sampler_takes_each_of_its_options(kind: Any) -> None:
    built = build_sampler(Sampler(type=kind), make_spec(parameters=[whole()]), 0, 0)
    assert set(SAMPLERS[kind]) <= set(inspect.signature(type(built)).parameters)


@pytest.mark.parametrize("kind", PRUNERS)
def test_a_pruner_takes_each_of_its_options(kind: Any) -> None:
    assert set(PRUNERS[kind]) <= set(inspect.signature(type(build_pruner(Pruner(type=kind)))).parameters)


@pytest.mark.parametrize(
    ("part", "kind", "options", "message"),
    [
        ("sampler", "TPE", {"nStartupTrials": "10"}, "expected a whole number, found '10': write it without quotes"),
        ("sampler", "TPE", {"nStartupTrials": 2.5}, "expected a whole number, found 2.5"),
        ("sampler", "TPE", {"nStartupTrials": True}, "expected a whole number, found True"),
        ("sampler", "TPE", {"multivariate": "false"}, "expected true or false, found 'false': write it without quotes"),
        ("sampler", "CmaEs", {"sigma0": "0.1"}, "expected a number, found '0.1': write it without quotes"),
        ("sampler", "TPE", {"nStartup": 3}, "TPE has no option 'nStartup'; it knows nStartupTrials, "),
        ("sampler", "TPE", {"seed": 1}, "TPE has no option 'seed'; it knows nStartupTrials, "),
        ("sampler", "Grid", {"shuffle": True}, "Grid has no option 'shuffle'; it knows none"),
        ("pruner", "Hyperband", {"maxResource": "all"}, "write a whole number from 1 to 1000000, or auto"),
        ("pruner", "Percentile", {"percentile": 150}, "less than or equal to 100"),
    ],
)
def test_a_wrong_option_is_told_with_its_place(part: str, kind: str, options: dict[str, Any], message: str) -> None:
    found = problem(part, kind, **options)
    assert found.startswith(f"spec.strategy.{part}.options.{next(iter(options))}: ")
    assert message in found


def test_an_option_of_another_type_is_told_with_those_there_are() -> None:
    known = ", ".join(to_camel(name) for name in SAMPLERS["TPE"])
    assert problem("sampler", "TPE", popsize=9) == (
        f"spec.strategy.sampler: of the options TPE knows {known} only: leave out the others"
    )
    assert problem("sampler", "Random", popsize=9) == "spec.strategy.sampler: Random has no options: leave them out"


# --- Whatever is taken can be used

EDGES: dict[str, Sequence[Any]] = {
    "n_startup_trials": [0, 1, 5],
    "n_ei_candidates": [1, 24],
    "sigma0": [5e-324, 0.2, 10],
    "popsize": [4, 5, 10_000],
    "qmc_type": ["sobol", "halton"],
    "population_size": [2, 3, 10_000],
    **dict.fromkeys(("mutation_prob", "crossover_prob", "swapping_prob"), (0, 0.5, 1)),
    "dividing_parameter": [1, 50],
    "percentile": [0, 25, 100],
    **dict.fromkeys(("n_warmup_steps", "bootstrap_count"), (0, 1, 1_000_000)),
    **dict.fromkeys(("interval_steps", "n_min_trials"), (1, 2, 1_000_000)),
    **dict.fromkeys(("min_resource", "max_resource"), (1, 2, 1_000_000, "auto")),
    "reduction_factor": [2, 3, 1000],
    "min_early_stopping_rate": [0, 1, 100],
}


def strategies(part: str, table: Mapping[str, Sequence[str]]) -> st.SearchStrategy[dict[str, Any]]:
    def of(kind: str) -> st.SearchStrategy[dict[str, Any]]:
        values = {to_camel(name): st.sampled_from(EDGES.get(name, [True, False])) for name in table[kind]}
        options = st.fixed_dictionaries({}, optional=values)
        return options.map(lambda given: {part: {"type": kind, "options": given}})

    return st.sampled_from(sorted(set(table) - {"Grid"})).flatmap(of)


@settings(max_examples=150)
@given(
    strategies("sampler", SAMPLERS) | strategies("pruner", PRUNERS),
    st.lists(st.integers(-3, 3), min_size=8, max_size=8),
)
def test_a_study_runs_with_whatever_options_are_taken(strategy: dict[str, Any], losses: list[int]) -> None:
    fields = {"parameters": [real("x"), whole("n", 1, 9)], "strategy": strategy, "budget": {"trials": 100}}
    try:
        spec = read_spec(make_manifest_spec(**fields))
    except InvalidStudy:
        assume(False)
        raise
    (phase,), study = spec.phases, optuna.create_study()
    for number, loss in enumerate(losses):
        study.sampler, study.pruner = build_sampler(phase.sampler, spec, 7, number), build_pruner(phase.pruner)
        trial = study.ask()
        assert set(suggest(trial, spec.parameters)) == {"x", "n"}
        for step in range(3):
            trial.report(loss + step, step)
            trial.should_prune()
        study.tell(trial, loss)
