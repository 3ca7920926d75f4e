"""CMA-ES from the history alone: any worker, new or old, comes to the same generation."""

import math
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import Any

import cmaes
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from tuning_study.search.samplers.cma_es import CovarianceMatrixSampler


def valley(trial: optuna.Trial) -> float:
    x, y, n = (
        trial.suggest_float("x", -5, 5),
        trial.suggest_float("y", 1e-3, 10, log=True),
        trial.suggest_int("n", 1, 9),
    )
    return 10 * (x - 1) ** 2 + (y - 2 - x) ** 2 + 0.1 * (n - 4) ** 2


def mixed_valley(trial: optuna.Trial) -> float:
    """Of every kind: a choice, an integer and a step, two values of each kind, and one too fine to have steps."""
    cost = valley(trial) + {"a": 3.0, "b": 0.0, "c": 1.0}[trial.suggest_categorical("choice", "abc")]
    cost += abs(trial.suggest_int("power", 1, 64, log=True) - 8) / 8 + trial.suggest_float("step", 0, 1, step=0.25)
    cost += trial.suggest_int("bit", 0, 1) + trial.suggest_float("end", -1, 1, step=2.0)
    return cost + abs(trial.suggest_int("fine", 0, 1000) - 300) / 100


def draws(
    study: optuna.Study,
    count: int,
    kept: CovarianceMatrixSampler | None = None,
    objective: Callable[[optuna.Trial], float] = valley,
    **options: Any,
) -> None:
    """Trials with their numbers as seeds: by one sampler, or by a new one each."""
    first = len(study.trials)
    for seed in range(first, first + count):
        if kept is not None:
            kept.reseed(seed)
        study.sampler = kept or CovarianceMatrixSampler(seed=seed, **options)
        study.optimize(objective, n_trials=1)


@pytest.mark.parametrize("option", ["", "use_separable_cma", "with_margin", "lr_adapt"])
def test_it_finds_what_random_search_does_not(option: str) -> None:
    options: dict[str, Any] = {option: True} if option else {}
    study = optuna.create_study(sampler=CovarianceMatrixSampler(seed=0, **options))
    study.optimize(valley, n_trials=250)
    random = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    random.optimize(valley, n_trials=250)
    assert study.best_value < random.best_value / 3


def level(trial: optuna.Trial) -> float:
    """Everywhere the same, so that a search has converged as soon as one can tell."""
    return 0.0 * valley(trial)


def level_mixed(trial: optuna.Trial) -> float:
    return 0.0 * mixed_valley(trial)


@pytest.mark.parametrize(
    ("objective", "count", "options"),
    [
        (valley, 60, {}),
        (valley, 60, {"with_margin": True}),
        (mixed_valley, 80, {}),
        (level, 120, {"restarts": "IPOP", "popsize": 4}),
        (level, 120, {"restarts": "BIPOP", "popsize": 4}),
        (level_mixed, 60, {"restarts": "IPOP", "popsize": 4}),
    ],
)
def test_a_kept_sampler_draws_what_a_new_one_would(objective: Any, count: int, options: dict[str, Any]) -> None:
    by_one, by_many = optuna.create_study(), optuna.create_study()
    draws(by_one, count, CovarianceMatrixSampler(**options), objective)
    draws(by_many, count, None, objective, **options)
    assert [trial.params for trial in by_one.trials] == [trial.params for trial in by_many.trials]


def members(study: optuna.Study) -> list[int]:
    """How many trials each generation has, but the last, which goes on."""
    drawn = [
        trial.system_attrs["cma:drawn"]["generation"] for trial in study.trials if "cma:drawn" in trial.system_attrs
    ]
    return list(Counter(drawn).values())[:-1]


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, [4]),
        ({"restarts": "None"}, [4]),
        ({"restarts": "IPOP"}, [4, 8, 16, 32]),
        ({"restarts": "IPOP", "inc_popsize": 4}, [4, 16, 64]),
    ],
)
def test_after_it_has_converged_generations_are_larger(options: dict[str, Any], sizes: list[int]) -> None:
    study = optuna.create_study()
    draws(study, 400, CovarianceMatrixSampler(popsize=4, **options), level)
    assert [size for size, _ in groupby(members(study))][: len(sizes)] == sizes


def test_restarts_find_the_best_of_many_optima() -> None:
    def rastrigin(trial: optuna.Trial) -> float:
        x = np.array([trial.suggest_float(name, -4.1, 6.1) for name in "xy"])
        return float(20 + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)))

    found = {}
    for restarts in ("None", "IPOP", "BIPOP"):
        study = optuna.create_study()
        draws(study, 900, CovarianceMatrixSampler(restarts=restarts, popsize=4), rastrigin)
        found[restarts] = study.best_value
    assert found["None"] > 0.5  # in another optimum
    assert max(found["IPOP"], found["BIPOP"]) < 0.01


def test_a_generation_ends_when_as_many_as_its_members_have_ended() -> None:
    study = optuna.create_study()
    draws(study, 22, popsize=5)
    generations = [trial.system_attrs.get("cma:drawn", {}).get("generation") for trial in study.trials]
    assert generations == [None, *[0] * 5, *[1] * 5, *[2] * 5, *[3] * 5, 4]


def test_what_ends_after_its_generation_changes_nothing() -> None:
    study = optuna.create_study(sampler=CovarianceMatrixSampler(popsize=4, seed=0))
    study.optimize(valley, n_trials=1)
    late = study.ask()
    value = valley(late)
    study.optimize(valley, n_trials=4)
    drawn = []
    for end in (False, True):
        if end:
            study.tell(late, value)
        study.sampler = CovarianceMatrixSampler(popsize=4, seed=1)
        trial = study.ask()
        drawn.append((valley(trial), study.trials[-1].system_attrs["cma:drawn"]["generation"]))
        study.tell(trial, state=TrialState.FAIL)
    assert drawn[0] == drawn[1]
    assert drawn[0][1] == 1


def test_a_space_that_turns_out_smaller_starts_a_search_of_its_own() -> None:
    study = optuna.create_study(sampler=CovarianceMatrixSampler(seed=0))
    study.optimize(valley, n_trials=3)
    study.optimize(
        lambda trial: trial.suggest_float("x", -5, 5) + trial.suggest_float("y", 1e-3, 10, log=True), n_trials=2
    )
    newest = study.trials[-1].system_attrs["cma:drawn"]
    assert (newest["dimensions"], newest["generation"]) == (2, 0)


def branching(trial: optuna.Trial) -> float:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return x + y + (trial.suggest_float("z", 0, 1) if trial.suggest_categorical("c", "ab") == "a" else 0)


def test_choices_are_learned_and_conditional_parameters_drawn_at_random() -> None:
    study = optuna.create_study(sampler=CovarianceMatrixSampler(seed=0))
    study.optimize(branching, n_trials=200)
    newest = study.trials[-40:]
    assert newest[-1].system_attrs["cma:drawn"]["dimensions"] == [2, 1]
    assert sum(trial.params["c"] == "b" for trial in newest) > 30
    assert max(trial.params["x"] for trial in newest) < 0.3
    assert np.ptp([trial.params["z"] for trial in study.trials if "z" in trial.params]) > 0.8


@pytest.mark.parametrize("option", ["use_separable_cma", "with_margin", "lr_adapt"])
def test_an_optimiser_of_numbers_leaves_choices_to_chance(option: str) -> None:
    options: dict[str, Any] = {option: True}
    study = optuna.create_study(sampler=CovarianceMatrixSampler(seed=0, **options))
    study.optimize(branching, n_trials=30)
    assert {trial.params["c"] for trial in study.trials[20:]} == {"a", "b"}
    assert study.trials[-1].system_attrs["cma:drawn"]["dimensions"] == 2


def test_a_mixed_space_is_searched_as_a_whole() -> None:
    study = optuna.create_study(sampler=CovarianceMatrixSampler(seed=0))
    study.optimize(mixed_valley, n_trials=400)
    random = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    random.optimize(mixed_valley, n_trials=400)
    assert study.best_value < random.best_value / 2
    assert {name: study.best_params[name] for name in ("choice", "bit", "end")} == {"choice": "b", "bit": 0, "end": -1}


@pytest.mark.parametrize("values", ["abc", [None, True, 2.5, "x"], [0, 1]])
def test_choices_alone_are_learned_too(values: Any) -> None:
    def objective(trial: optuna.Trial) -> float:
        return float(sum(values.index(trial.suggest_categorical(f"c{i}", values)) for i in range(6)))

    study = optuna.create_study(sampler=CovarianceMatrixSampler(seed=0))
    study.optimize(objective, n_trials=250)
    assert (
        np.mean([trial.value for trial in study.trials[-50:]])
        < np.mean([trial.value for trial in study.trials[:50]]) / 2
    )


def test_a_study_that_drew_choices_at_random_goes_on_with_them() -> None:
    """An older version's history: generations of the two numbers, whose names would do for a space of two kinds."""
    study = optuna.create_study()
    draws(study, 30, None, branching, use_separable_cma=True)
    draws(study, 30, None, branching)
    generations = [trial.system_attrs["cma:drawn"] for trial in study.trials[30:]]
    assert all(entry["dimensions"] == [2, 1] for entry in generations)
    assert generations[0]["generation"] == 0


def test_a_mixed_search_goes_on_from_a_store() -> None:
    """Where what a trial remembers is JSON."""
    study = optuna.create_study(storage="sqlite://", sampler=CovarianceMatrixSampler(popsize=4, seed=0))
    study.optimize(branching, n_trials=20)
    assert study.trials[-1].system_attrs["cma:drawn"]["generation"] == 4


@pytest.mark.parametrize("dimensions", [None, "2", [2], [2, 1, 0], ["2", 1], {"2": 1}])
def test_what_is_no_generation_is_not_read_as_one(dimensions: Any) -> None:
    study = optuna.create_study(sampler=CovarianceMatrixSampler(popsize=4, seed=0))
    for _ in range(6):
        trial = study.ask()
        value = branching(trial)
        drawn = {"dimensions": dimensions, "generation": 0, "point": [0.5, 0.5]}
        study._storage.set_trial_system_attr(trial._trial_id, "cma:drawn", drawn)
        study.tell(trial, value)
    study.optimize(branching, n_trials=1)
    assert study.trials[-1].system_attrs["cma:drawn"]["generation"] == 0


@pytest.mark.parametrize("cost", [math.inf, -math.inf, 1e308])
def test_costs_without_measure_do_not_end_a_mixed_search(cost: float) -> None:
    study = optuna.create_study(sampler=CovarianceMatrixSampler(popsize=6, restarts="BIPOP", seed=0))
    study.optimize(lambda trial: cost if mixed_valley(trial) > 60 else mixed_valley(trial), n_trials=80)
    assert study.trials[-1].system_attrs["cma:drawn"]["generation"] >= 5


def test_a_mixed_generation_that_teaches_nothing_does_not_end_the_search() -> None:
    study = optuna.create_study(sampler=CovarianceMatrixSampler(seed=0))
    study.optimize(level_mixed, n_trials=60)
    assert study.trials[-1].system_attrs["cma:drawn"]["generation"] >= 3


@pytest.mark.parametrize("option", ["", "use_separable_cma", "lr_adapt"])
def test_a_generation_at_one_point_does_not_end_the_search(option: str) -> None:
    options: dict[str, Any] = {option: True} if option else {}
    sampler = CovarianceMatrixSampler(n_startup_trials=0, popsize=4, sigma0=1e-4, seed=0, **options)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: trial.suggest_int("n", 0, 2) + trial.suggest_int("m", 0, 2), n_trials=14)
    assert {tuple(trial.params.values()) for trial in study.trials[1:]} == {(1, 1)}
    assert study.trials[-1].system_attrs["cma:drawn"]["generation"] == 3


@pytest.mark.parametrize(("considered", "generation"), [(True, 1), (False, 0)])
def test_pruned_trials_count_by_their_last_report_if_told_to(considered: bool, generation: int) -> None:
    def pruned(trial: optuna.Trial) -> float:
        trial.report(valley(trial), 0)
        raise optuna.TrialPruned

    sampler = CovarianceMatrixSampler(popsize=4, n_startup_trials=0, consider_pruned_trials=considered, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(valley, n_trials=1)
    study.optimize(pruned, n_trials=4)
    study.optimize(valley, n_trials=1)
    assert study.trials[-1].system_attrs["cma:drawn"]["generation"] == generation


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="only one of"):
        CovarianceMatrixSampler(with_margin=True, lr_adapt=True)


def test_it_is_the_librarys_optimiser_asked_and_told() -> None:
    """The same draws as a plain loop over cmaes, with the seeds of the trials."""
    sampler, study = CovarianceMatrixSampler(n_startup_trials=0), optuna.create_study()
    plain = cmaes.CMA(np.full(2, 0.5), 1 / 6, np.array([[0.0, 1.0]] * 2), n_max_resampling=20)
    unit = optuna.distributions.FloatDistribution(0, 1)
    space: dict[str, optuna.distributions.BaseDistribution] = dict.fromkeys("xy", unit)
    for generation in range(10):
        solutions = []
        for member in range(plain.population_size):
            seed = 100 * generation + member
            sampler.reseed(seed)
            plain.reseed_rng(int(np.random.default_rng(seed).integers(2**32)))
            trial, point = study.ask(), plain.ask()
            params = sampler.sample_relative(study, study.trials[-1], space)
            assert list(params.values()) == pytest.approx(list(point), abs=1e-12)
            for name, distribution in space.items():
                study._storage.set_trial_param(trial._trial_id, name, params[name], distribution)
            solutions.append((point, float(np.sum((point - 0.3) ** 2))))
            study.tell(trial, solutions[-1][1])
        plain.tell(solutions)


def test_of_several_objectives_it_follows_the_first() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=CovarianceMatrixSampler(seed=0))
    study.optimize(lambda t: (-((t.suggest_float("x", -5, 5) - 2) ** 2) - t.suggest_float("y", -5, 5) ** 2, 0.0), 150)
    assert np.median([abs(trial.params["x"] - 2) for trial in study.trials[-30:]]) < 0.2
