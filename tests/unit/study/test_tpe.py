"""The tree-structured Parzen estimator: what it draws together, whom it avoids, and that nothing is read twice."""

from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers._tpe.sampler import _split_trials, default_weights
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning_study.search.samplers import tpe
from tuning_study.search.samplers.parzen import Kernels, Mixture, Scale
from tuning_study.search.samplers.tpe import TreeParzenSampler

UNIT = FloatDistribution(0, 1)
KERNEL = CategoricalDistribution(["rbf", "poly"])


def past(value: float, **params: float | str) -> FrozenTrial:
    distributions: dict[str, BaseDistribution] = {
        name: KERNEL if isinstance(given, str) else UNIT for name, given in params.items()
    }
    return create_trial(value=value, params=params, distributions=distributions)


def study_of(*trials: FrozenTrial, sampler: TreeParzenSampler | None = None) -> optuna.Study:
    study = optuna.create_study(sampler=sampler or TreeParzenSampler(n_startup_trials=0, seed=0))
    study.add_trials(trials)
    return study


def bowl(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2 + (trial.suggest_float("y", 0, 1) - 0.8) ** 2


def conditional(trial: optuna.Trial) -> float:
    if trial.suggest_categorical("kernel", ["rbf", "poly"]) == "rbf":
        return trial.suggest_float("gamma", 0, 1)
    return trial.suggest_float("degree", 0, 1) + trial.suggest_float("shift", 0, 1)


def test_it_finds_what_random_search_does_not() -> None:
    found = {}
    for name, sampler in {"tpe": TreeParzenSampler(seed=0), "random": optuna.samplers.RandomSampler(seed=0)}.items():
        study = optuna.create_study(sampler=sampler)
        study.optimize(bowl, n_trials=100)
        found[name] = study.best_value
    assert found["tpe"] < found["random"] / 3


def test_parameters_that_occur_together_are_drawn_together() -> None:
    study = study_of(past(1, x=0.1, y=0.2), past(1, x=0.1, z=0.3), past(1, kernel="rbf", v=0.5, w=0.5))
    groups = TreeParzenSampler(n_startup_trials=0)._read(study).groups(every=True)
    assert groups == [["kernel", "v", "w"], ["x"], ["y"], ["z"]]


def test_without_groups_only_what_all_trials_have_is_drawn_together() -> None:
    sampler = TreeParzenSampler(n_startup_trials=0, group=False)
    study = study_of(past(1, x=0.1, y=0.2), past(1, x=0.1, z=0.3), sampler=sampler)
    assert list(sampler.infer_relative_search_space(study, study.trials[0])) == ["x"]


@pytest.mark.parametrize("objective", [bowl, conditional])
def test_a_kept_sampler_draws_what_a_new_one_would(objective: Any) -> None:
    kept = TreeParzenSampler(seed=0)
    study = optuna.create_study(sampler=kept)
    for seed in range(30):
        kept.reseed(seed)
        study.sampler = kept
        study.optimize(objective, n_trials=1)
    again = optuna.create_study()
    for seed in range(30):
        again.sampler = TreeParzenSampler(seed=seed)
        again.optimize(objective, n_trials=1)
    assert [trial.params for trial in again.trials] == [trial.params for trial in study.trials]


@pytest.mark.parametrize(("constant_liar", "avoided"), [(True, [0.5, 0.6]), (False, [])])
def test_what_runs_is_taken_to_be_bad(constant_liar: bool, avoided: list[float]) -> None:
    """With the weight of the newest; but not the own trial."""
    sampler = TreeParzenSampler(n_startup_trials=0, constant_liar=constant_liar)
    study = study_of(*[past(x, x=x) for x in np.linspace(0, 1, 30)], sampler=sampler)
    for params in ({"x": 0.5}, {"y": 0.5}, {"x": 0.6}, {"x": 0.7}):
        distributions: dict[str, BaseDistribution] = dict.fromkeys(params, UNIT)
        study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=distributions))
    read = sampler._read(study)
    running = [trial for trial in sampler._running(study, study.trials[-1]) if "x" in trial.params]
    tried = sampler._tried(read, read.split(["x"])[1], running, ["x"], np.sum)
    assert list(tried.rows[27:, 0]) == avoided
    assert list(tried.weights[27:]) == [1.0] * len(avoided)


def test_infeasible_trials_are_worse_than_any_feasible_one() -> None:
    feasible = [past(1.0, x=x) for x in np.linspace(0.7, 0.9, 30)]
    better = [create_trial(value=0.0, params={"x": 0.2}, distributions={"x": UNIT}, constraints={"c": 1.0})] * 30
    study = study_of(*feasible, *better)
    drawn = [study.sampler.sample_independent(study, study.trials[-1], "x", UNIT) for _ in range(20)]
    assert np.median(drawn) > 0.6


def test_several_objectives() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=TreeParzenSampler(seed=0))

    def both(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return x + y, 1 - x + y

    study.optimize(both, n_trials=80)
    assert np.mean([trial.params["y"] for trial in study.trials[40:]]) < 0.2


def test_a_finished_trial_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    add = tpe._Past._add

    def noted(self: tpe._Past, trial: FrozenTrial) -> None:
        read.append(trial.number)
        add(self, trial)

    monkeypatch.setattr(tpe._Past, "_add", noted)
    study = optuna.create_study(sampler=TreeParzenSampler(seed=0))
    study.optimize(conditional, n_trials=30)
    assert read == list(range(29))


def test_nothing_is_written_beside_the_parameters() -> None:
    study = optuna.create_study(sampler=TreeParzenSampler(seed=0))
    study.optimize(conditional, n_trials=20)
    assert all(trial.system_attrs == {} for trial in study.trials)


@given(st.integers(1025, 3000), st.integers(0, 100))
def test_the_closest_are_kept_and_a_sample_has_the_weight_of_the_rest(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    close, weights = rng.permutation(count).astype(float), rng.random(count)
    kept, kept_weights = tpe._bounded(close, weights, rng)
    assert len(kept) == len(kept_weights) == tpe._NEAR + tpe._SAMPLED
    assert set(close[kept[: tpe._NEAR]]) == set(range(count - tpe._NEAR, count))
    assert list(kept_weights[: tpe._NEAR]) == list(weights[kept[: tpe._NEAR]])
    assert kept_weights.sum() == pytest.approx(weights.sum())


def test_a_sample_of_the_rest_expects_what_all_of_it_has() -> None:
    rng = np.random.default_rng(1)
    weights, far = rng.random(4000), -np.arange(4000.0)
    totals = []
    for _ in range(300):
        kept, kept_weights = tpe._bounded(far, weights, rng)
        totals.append(np.sum(kept_weights * np.sin(kept)))
    error = np.std(totals) / np.sqrt(len(totals))
    assert abs(np.mean(totals) - np.sum(weights * np.sin(np.arange(4000)))) < 4 * error


def test_on_one_history_the_densities_are_optunas() -> None:
    """As long as no kernel is left out; that is up to about a thousand trials."""
    sampler = TreeParzenSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl, n_trials=150)
    read = sampler._read(study)
    names, optunas = ["x", "y"], optuna.samplers.TPESampler(multivariate=True)
    below, above = _split_trials(study, study.trials, read._ranking.best())
    best, others = read.split(names)
    tried = sampler._tried(read, others, [], names, np.sum)
    space: dict[str, BaseDistribution] = dict.fromkeys(names, UNIT)
    points = np.random.default_rng(0).random((50, 2))
    for kernels, trials, is_best in (
        (Kernels(read.rows(best, names), np.ones(len(best)), len(best)), below, True),
        (tried, above, False),
    ):
        wanted = optunas._build_parzen_estimator(study, space, trials, handle_below=is_best)
        np.testing.assert_allclose(
            Mixture([Scale(UNIT)] * 2, kernels).log_density(points),
            wanted.log_pdf({"x": points[:, 0], "y": points[:, 1]}),
        )


@given(st.integers(0, 200))
def test_age_weighs_as_optunas_default(count: int) -> None:
    np.testing.assert_allclose(tpe._by_age(count), default_weights(count))
