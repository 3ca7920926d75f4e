"""CMA-ES from the history alone: any worker, new or old, comes to the same generation."""

from typing import Any

import cmaes
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from tuning_study.cma_es import CovarianceMatrixSampler


def valley(trial: optuna.Trial) -> float:
    x, y, n = (
        trial.suggest_float("x", -5, 5),
        trial.suggest_float("y", 1e-3, 10, log=True),
        trial.suggest_int("n", 1, 9),
    )
    return 10 * (x - 1) ** 2 + (y - 2 - x) ** 2 + 0.1 * (n - 4) ** 2


def draws(study: optuna.Study, count: int, kept: CovarianceMatrixSampler | None = None, **options: Any) -> None:
    """Trials with their numbers as seeds: by one sampler, or by a new one each."""
    for _ in range(count):
        seed = len(study.trials)
        if kept is not None:
            kept.reseed(seed)
        study.sampler = kept or CovarianceMatrixSampler(seed=seed, **options)
        study.optimize(valley, n_trials=1)


@pytest.mark.parametrize("option", ["", "use_separable_cma", "with_margin", "lr_adapt"])
def test_it_finds_what_random_search_does_not(option: str) -> None:
    study = optuna.create_study(sampler=CovarianceMatrixSampler(seed=0, **({option: True} if option else {})))
    study.optimize(valley, n_trials=250)
    random = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    random.optimize(valley, n_trials=250)
    assert study.best_value < random.best_value / 3


@pytest.mark.parametrize("options", [{}, {"with_margin": True}])
def test_a_kept_sampler_draws_what_a_new_one_would(options: dict[str, bool]) -> None:
    by_one, by_many = optuna.create_study(), optuna.create_study()
    draws(by_one, 60, CovarianceMatrixSampler(**options))
    draws(by_many, 60, **options)
    assert [trial.params for trial in by_one.trials] == [trial.params for trial in by_many.trials]


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


def test_choices_and_conditions_are_drawn_at_random() -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        more = trial.suggest_float("z", 0, 1) if trial.suggest_categorical("c", "ab") == "a" else 0
        return x + y + more

    study = optuna.create_study(sampler=CovarianceMatrixSampler(seed=0))
    study.optimize(objective, n_trials=30)
    assert {trial.params["c"] for trial in study.trials[20:]} == {"a", "b"}
    assert study.trials[-1].system_attrs["cma:drawn"]["dimensions"] == 2


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
    space = {name: optuna.distributions.FloatDistribution(0, 1) for name in "xy"}
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
