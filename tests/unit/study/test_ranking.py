"""Trials in the order that Optuna's TPE splits them by, kept while they end."""

from typing import Literal

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers._tpe.sampler import _split_trials
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning_study.search.samplers.ranking import Ranking

values = st.integers(-3, 3).map(float)


@st.composite
def finished(draw: st.DrawFn, objectives: int = 1) -> FrozenTrial:
    """Complete, pruned early or late, feasible or not; few different values, so that there are ties."""
    constraints = draw(st.one_of(st.none(), st.fixed_dictionaries({"size": values})))
    pruned = objectives == 1 and draw(st.booleans())
    return create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        values=None if pruned else draw(st.lists(values, min_size=objectives, max_size=objectives)),
        intermediate_values=draw(st.dictionaries(st.integers(0, 2), values | st.just(float("nan")))) if pruned else {},
        constraints=constraints,
    )


def ranked(study: Study, trials: list[FrozenTrial]) -> Ranking:
    for trial in trials:
        study.add_trial(trial)
    ranking = Ranking(study.directions)
    for trial in study.trials:
        ranking.add(trial)
    return ranking


def optunas_best(study: Study, count: int) -> set[int]:
    return {trial.number for trial in _split_trials(study, study.trials, count)[0]}


@given(st.lists(finished(), max_size=40), st.sampled_from(["minimize", "maximize"]), st.integers(0, 40))
def test_the_best_are_those_of_optuna(
    trials: list[FrozenTrial], direction: Literal["minimize", "maximize"], count: int
) -> None:
    study = optuna.create_study(direction=direction)
    ranking = ranked(study, trials)
    assert set(ranking.numbers()[:count]) == optunas_best(study, count)


@given(st.lists(finished(objectives=2), max_size=40))
def test_the_best_of_several_objectives_are_those_of_optuna(trials: list[FrozenTrial]) -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    ranking = ranked(study, trials)
    assert set(ranking.numbers()[: ranking.best()]) == optunas_best(study, ranking.best())


@pytest.mark.parametrize(("count", "best"), [(0, 0), (1, 1), (10, 1), (11, 2), (250, 25), (1000, 25)])
def test_a_tenth_are_the_best_up_to_25(count: int, best: int) -> None:
    assert ranked(optuna.create_study(), [create_trial(value=0.0)] * count).best() == best


def test_the_front_of_a_long_history_stays_known() -> None:
    """Of 1,000 trials in a random order the pool keeps the 60 of the front."""
    rng = np.random.default_rng(0)
    on_front = [(step / 60, 1 - step / 60) for step in range(60)]
    beaten = [tuple(point) for point in 1 + rng.random((940, 2))]
    points = [(*on_front, *beaten)[index] for index in rng.permutation(1000)]
    study = optuna.create_study(directions=["minimize", "minimize"])
    ranking = ranked(study, [create_trial(values=list(point)) for point in points])
    best = [points[number] for number in ranking.numbers()[:60]]
    assert sorted(best) == sorted(on_front)
    assert sorted(ranking.numbers()) == list(range(1000))
