"""Whoever can write to a store must not run code in the workers: nothing that comes from it is unpickled."""

import pickle
from typing import Any, get_args

import optuna
import pytest

from builders import make_spec, real, whole
from tuning_study.api.strategy import Phase, Pruner, PrunerType, Sampler, SamplerType
from tuning_study.search.space import suggest
from tuning_study.search.strategy import Samplers, build_pruner

SPEC = make_spec(parameters=[real("x", 0, 1, step=0.1), whole("n", 1, 9)])


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('code from the store ran')",)


def test_the_trap_springs() -> None:
    with pytest.raises(SystemExit, match="ran"):
        pickle.loads(pickle.dumps(Trap()))


@pytest.mark.parametrize("kind", get_args(SamplerType))
def test_no_sampler_unpickles(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Optuna's CmaEsSampler keeps its optimiser, and everywhere else, there is a trap."""
    trap = pickle.dumps(Trap()).hex()
    monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("something was unpickled"))
    monkeypatch.setattr(pickle, "load", lambda *_: pytest.fail("something was unpickled"))
    samplers, study = Samplers(SPEC, study_seed=7), optuna.create_study()
    for number in range(15):
        study.sampler = samplers.for_trial(Phase(name="search", trials=15, sampler=Sampler(type=kind)), number, number)
        trial = study.ask()
        for key in ("cma:optimizer:0", "sepcma:optimizer:0", "cmawm:optimizer:0", "tpe:relative_params:0"):
            study._storage.set_trial_system_attr(trial._trial_id, key, trap)
        study.tell(trial, float(str(suggest(trial, SPEC.parameters)["x"])))


@pytest.mark.parametrize("kind", get_args(PrunerType))
def test_no_pruner_unpickles(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("something was unpickled"))
    needed = {"Patient": {"patience": 1}, "Threshold": {"upper": 3}}
    study = optuna.create_study(pruner=build_pruner(Pruner(type=kind, options=needed.get(kind, {})), SPEC))
    for number in range(12):
        trial = study.ask()
        for step in range(4):
            trial.report(number + step, step)
            trial.should_prune()
        study.tell(trial, number)


def test_optunas_own_cma_es_would_have_been_caught() -> None:
    study = optuna.create_study(sampler=optuna.samplers.CmaEsSampler(seed=0))
    trial = study.ask()
    total = trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1)
    study._storage.set_trial_system_attr(trial._trial_id, "cma:optimizer:0", pickle.dumps(Trap()).hex())
    study.tell(trial, total)
    with pytest.raises(SystemExit, match="ran"):
        study.ask().suggest_float("x", 0, 1)
