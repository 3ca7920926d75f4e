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
from tuning_study.api.options import CROSSOVERS, PRUNERS, SAMPLERS, PrunerOptions, SamplerOptions
from tuning_study.api.strategy import PrunerType, Sampler, SamplerType
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_spec
from tuning_study.search.auto import sampler_at
from tuning_study.search.space import suggest
from tuning_study.search.strategy import _CROSSOVERS, _PRUNERS, build_pruner, build_sampler


def problem(part: str, kind: str, **options: Any) -> str:
    with pytest.raises(InvalidStudy) as refused:
        read_spec(
            make_manifest_spec(
                parameters=[whole()], budget={"trials": 1}, strategy={part: {"type": kind, "options": options}}
            )
        )
    (found,) = refused.value.problems
    return found


def test_the_tables_have_every_type_and_every_option() -> None:
    assert (set(SAMPLERS), set(PRUNERS)) == (set(get_args(SamplerType)), set(get_args(PrunerType)))
    assert {name for known in SAMPLERS.values() for name in known} == set(SamplerOptions.model_fields)
    assert {name for known in PRUNERS.values() for name in known} == set(PrunerOptions.model_fields)


@pytest.mark.parametrize("kind", [kind for kind in SAMPLERS if kind != "Auto"])
def test_a_sampler_takes_each_of_its_options(kind: Any) -> None:
    built = build_sampler(Sampler(type=kind), make_spec(parameters=[whole()]), 0, 0)
    assert set(SAMPLERS[kind]) <= set(inspect.signature(type(built)).parameters)


@pytest.mark.parametrize("kind", PRUNERS)
def test_a_pruner_takes_each_of_its_options(kind: Any) -> None:
    assert set(PRUNERS[kind]) <= set(inspect.signature(_PRUNERS[kind]).parameters)


@pytest.mark.parametrize(
    ("part", "kind", "options", "message"),
    [
        ("sampler", "TPE", {"nStartupTrials": "10"}, "expected a whole number, found '10': write it without quotes"),
        ("sampler", "TPE", {"nStartupTrials": 2.5}, "expected a whole number, found 2.5"),
        ("sampler", "TPE", {"nStartupTrials": True}, "expected a whole number, found True"),
        ("sampler", "TPE", {"multivariate": "false"}, "expected true or false, found 'false': write it without quotes"),
        ("sampler", "CmaEs", {"sigma0": "0.1"}, "expected a number, found '0.1': write it without quotes"),
        ("sampler", "TPE", {"nStartup": 3}, "TPE has no option 'nStartup'; did you mean nStartupTrials?"),
        ("sampler", "TPE", {"seed": 1}, "TPE has no option 'seed'; it knows nStartupTrials, "),
        ("sampler", "Grid", {"shuffle": True}, "Grid has no option 'shuffle'; it knows none"),
        ("pruner", "Hyperband", {"maxResource": "all"}, "write a whole number from 1 to 1000000, or auto"),
        ("pruner", "Percentile", {"percentile": 150}, "expected 100 or less, found 150"),
    ],
)
def test_a_wrong_option_is_told_with_its_place(part: str, kind: str, options: dict[str, Any], message: str) -> None:
    found = problem(part, kind, **options)
    assert found.startswith(f"spec.strategy.{part}.options.{next(iter(options))}: ")
    assert message in found


def test_an_option_of_another_type_is_told_with_those_there_are() -> None:
    known = ", ".join(to_camel(name) for name in SAMPLERS["TPE"])
    assert problem("sampler", "TPE", popsize=9) == (
        f"spec.strategy.sampler: of the options TPE knows {known} only: leave out the others (popsize)"
    )
    assert problem("sampler", "Random", popsize=9) == (
        "spec.strategy.sampler: Random has no options: leave them out (popsize)"
    )


@pytest.mark.parametrize(
    ("part", "written", "meant"),
    [
        *(("sampler", f"{kind}Sampler", kind) for kind in SAMPLERS),
        *(("pruner", f"{kind}Pruner", kind) for kind in PRUNERS if kind != "None"),
        *(("sampler", kind.lower(), kind) for kind in SAMPLERS),
        *(("pruner", kind.lower(), kind) for kind in PRUNERS),
        ("sampler", "cma_es", "CmaEs"),
        ("sampler", "CMA-ES", "CmaEs"),
        ("sampler", "tpe_sampler", "TPE"),
        ("sampler", "NSGA2", "NSGAII"),
        ("sampler", "nsga-ii", "NSGAII"),
        ("sampler", "BruteForceSampler", "Grid"),
        ("pruner", "NopPruner", "None"),
        ("pruner", "successive_halving", "SuccessiveHalving"),
        ("pruner", "median_pruner", "Median"),
        ("pruner", "ASHA", "SuccessiveHalving"),
    ],
)
def test_a_type_as_in_optuna_is_answered_with_ours(part: str, written: str, meant: str) -> None:
    manifest = make_manifest_spec(strategy={part: {"type": written}}, parameters=[whole()], budget={"trials": 1})
    with pytest.raises(InvalidStudy) as refused:
        read_spec(manifest)
    (found,) = refused.value.problems
    assert found.startswith(f"spec.strategy.{part}.type: expected one of ")
    assert found.endswith(f"found {written!r}; did you mean {meant}?")


def test_an_option_beside_a_misspelt_type_is_told_by_the_type_that_is_meant() -> None:
    with pytest.raises(InvalidStudy) as refused:
        read_spec(make_manifest_spec(strategy={"sampler": {"type": "TPESampler", "options": {"nStartup": 3}}}))
    assert "TPE has no option 'nStartup'; did you mean nStartupTrials?" in "\n".join(refused.value.problems)


# --- Each option arrives

OTHER: dict[str, Any] = {
    "n_startup_trials": 3,
    "n_ei_candidates": 3,
    "multivariate": False,
    "group": False,
    "constant_liar": False,
    "sigma0": 0.3,
    "popsize": 9,
    "consider_pruned_trials": True,
    "use_separable_cma": True,
    "with_margin": True,
    "lr_adapt": True,
    "restarts": "IPOP",
    "inc_popsize": 3,
    "qmc_type": "halton",
    "scramble": False,
    "population_size": 9,
    "mutation_prob": 0.3,
    "crossover_prob": 0.3,
    "swapping_prob": 0.3,
    "crossover": {"type": "SBX"},
    "mutation": {"type": "Polynomial"},
    "dividing_parameter": 2,
    "percentile": 9.0,
    "n_warmup_steps": 2,
    "interval_steps": 2,
    "n_min_trials": 2,
    "min_resource": 2,
    "max_resource": 9,
    "reduction_factor": 2,
    "min_early_stopping_rate": 1,
    "bootstrap_count": 1,
    "patience": 9,
    "min_delta": 0.3,
    "lower": -2.0,
    "upper": 2.0,
    "p_threshold": 0.3,
    "n_startup_steps": 4,
}
BESIDE: dict[tuple[str, str], dict[str, Any]] = {  # what an option or a type does not stand without
    ("CmaEs", "inc_popsize"): {"restarts": "IPOP"},
    ("SuccessiveHalving", "bootstrap_count"): {"minResource": 1},
    ("Hyperband", "bootstrap_count"): {"maxResource": 9},
    **{("Patient", name): {"patience": 1} for name in PRUNERS["Patient"]},
    **{("Threshold", name): {"upper": 1.0} for name in PRUNERS["Threshold"]},
}


def built(part: str, kind: str, options: dict[str, Any]) -> Any:
    strategy = {part: {"type": kind, "options": options}}
    spec = read_spec(make_manifest_spec(parameters=[whole()], budget={"trials": 1}, strategy=strategy))
    (phase,) = spec.phases
    return build_sampler(phase.sampler, spec, 7, 7) if part == "sampler" else build_pruner(phase.pruner, spec)


def state(thing: Any, depth: int = 4) -> Any:
    """What an object of Optuna's was made with, and the objects that it was made of."""
    if isinstance(thing, str | int | float | None):
        return thing
    if isinstance(thing, tuple):
        return tuple(state(part, depth - 1) for part in thing)
    if not hasattr(thing, "__dict__") or not depth:
        return type(thing)
    return type(thing), {name: state(value, depth - 1) for name, value in vars(thing).items()}


@pytest.mark.parametrize(
    ("part", "kind", "name"),
    [
        (part, kind, name)
        for part, table in (("sampler", SAMPLERS), ("pruner", PRUNERS))
        for kind, known in table.items()
        for name in known
    ],
)
def test_an_option_changes_what_is_built(part: str, kind: str, name: str) -> None:
    without = BESIDE.get((kind, name), {})
    given = {to_camel(name): OTHER[name]}
    assert state(built(part, kind, without)) == state(built(part, kind, without))
    assert state(built(part, kind, without | given)) != state(built(part, kind, without))


@pytest.mark.parametrize(("part", "table"), [("sampler", SAMPLERS), ("pruner", PRUNERS)])
def test_an_option_as_in_optuna_is_answered_with_ours(part: str, table: Mapping[str, Sequence[str]]) -> None:
    for kind, known in table.items():
        for name in known:
            if to_camel(name) != name:
                message = f"{kind} has no option {name!r}; did you mean {to_camel(name)}?"
                assert problem(part, kind, **{name: 1}, **BESIDE.get((kind, name), {})).endswith(message)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, known in CROSSOVERS.items() for name in ("", *known)]
)
def test_a_number_of_a_crossover_arrives(kind: str, name: str) -> None:
    for sampler in ("NSGAII", "NSGAIII"):
        crossover = {"type": kind} | ({to_camel(name): 0.25} if name else {})
        found = built("sampler", sampler, {"crossover": crossover})._child_generation_strategy._crossover
        assert type(found) is _CROSSOVERS[kind]
        assert not name or getattr(found, f"_{name}") == 0.25


def test_a_number_of_a_mutation_and_the_share_of_uniform_arrive() -> None:
    options = {"mutation": {"type": "Polynomial", "eta": 7}, "crossover": {"type": "Uniform"}, "swappingProb": 0.1}
    strategy = built("sampler", "NSGAII", options)._child_generation_strategy
    assert strategy._mutation._eta == 7
    assert strategy._crossover._swapping_prob == 0.1


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
    "restarts": ["None", "IPOP", "BIPOP"],
    "inc_popsize": [2, 10],
    "crossover": [
        {"type": "Uniform"},
        *({"type": "BLXAlpha", "alpha": alpha} for alpha in (0, 1000)),
        *({"type": "SPX", "epsilon": epsilon} for epsilon in (0, 1000)),
        *({"type": kind, "eta": eta} for kind in ("SBX", "VSBX") for eta in (0, 1000)),
        {"type": "SBX", "uniformCrossoverProb": 1, "useChildGeneProb": 5e-324},
        {"type": "UNDX", "sigmaXi": 0, "sigmaEta": 1000},
    ],
    "mutation": [{"type": "Polynomial", "eta": 0}, {"type": "Polynomial", "eta": 1000}, {"type": "Polynomial"}],
    "percentile": [0, 25, 100],
    **dict.fromkeys(("n_warmup_steps", "bootstrap_count"), (0, 1, 1_000_000)),
    **dict.fromkeys(("interval_steps", "n_min_trials"), (1, 2, 1_000_000)),
    **dict.fromkeys(("min_resource", "max_resource"), (1, 2, 1_000_000, "auto")),
    "reduction_factor": [2, 3, 1000],
    "min_early_stopping_rate": [0, 1, 100],
    **dict.fromkeys(("patience", "n_startup_steps"), (0, 1, 1_000_000)),
    "min_delta": [0, 0.5, 1e308],
    **dict.fromkeys(("lower", "upper"), (-1e308, 0, 2.5)),
    "p_threshold": [0, 0.5, 1],
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
        study.sampler = build_sampler(sampler_at(phase.sampler, spec, number), spec, 7, number)
        study.pruner = build_pruner(phase.pruner, spec)
        trial = study.ask()
        assert set(suggest(trial, spec.parameters)) == {"x", "n"}
        for step in range(3):
            trial.report(loss + step, step)
            trial.should_prune()
        study.tell(trial, loss)
