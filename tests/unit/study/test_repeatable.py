"""One worker and one seed give the same trials, bit for bit, whatever the sampler, and however often the worker's
process is replaced."""

from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from builders import choice, make_spec, real, whole
from tuning_study.api.spec import TuningStudySpec
from tuning_study.search.phases import phase_at
from tuning_study.search.space import suggest
from tuning_study.search.strategy import Samplers, build_pruner
from tuning_study.seeds import trial_seed

SEED, TRIALS = 42, 24
MIXED = [real("x", -5.0, 5.0), real("lr", 1e-4, 1.0, scale="Log"), whole("n", 1, 20), choice("kind", ["a", "b", "c"])]
STEPS = [real("x", -4.0, 4.0, step=2.0), whole("n", 1, 3), choice("kind", ["a", "b"])]
HYPERBAND = {"type": "Hyperband", "options": {"minResource": 1, "maxResource": 4, "reductionFactor": 2}}

STRATEGIES: dict[str, dict[str, Any]] = {
    **{kind: {"sampler": {"type": kind}} for kind in ("Auto", "Random", "QMC", "GP", "Grid")},
    "TPE": {"sampler": {"type": "TPE", "options": {"nStartupTrials": 5}}},
    "CmaEs": {"sampler": {"type": "CmaEs", "options": {"nStartupTrials": 5}}},
    "NSGAII": {"sampler": {"type": "NSGAII", "options": {"populationSize": 6}}},
    "NSGAIII": {"sampler": {"type": "NSGAIII", "options": {"populationSize": 6}}},
    "TPE with Hyperband": {"sampler": {"type": "TPE", "options": {"nStartupTrials": 5}}, "pruner": HYPERBAND},
    "phases": {
        "phases": [
            {"name": "a", "trials": 8, "sampler": {"type": "Random"}},
            {"name": "b", "trials": 8, "sampler": {"type": "TPE", "options": {"nStartupTrials": 5}}},
            {"name": "c", "trials": 8, "sampler": {"type": "CmaEs", "options": {"nStartupTrials": 5}}},
        ]
    },
}


def searched(spec: TuningStudySpec, *, processes: int) -> list[tuple[dict[str, Any], TrialState, float | None]]:
    """The trials of a round that so many processes take, one after another, as a worker takes them."""
    study = optuna.create_study(study_name="team/digits/r1")
    every, samplers = TRIALS // processes, Samplers(spec, SEED)
    for number in range(TRIALS):
        if number and number % every == 0:
            samplers = Samplers(spec, SEED)
        phase = phase_at(spec.phases, number)
        study.sampler = samplers.for_trial(phase, number, trial_seed(SEED, number, "sampler"))
        study.pruner = build_pruner(phase.pruner, spec)
        study.optimize(lambda trial: measured(trial, spec), n_trials=1, catch=())
    return [(trial.params, trial.state, trial.value) for trial in study.get_trials(deepcopy=False)]


def measured(trial: optuna.Trial, spec: TuningStudySpec) -> float:
    point = suggest(trial, spec.parameters)
    value = (point["x"] - 1) ** 2 + (point["n"] - 2) ** 2 + (point["kind"] == "b") + point.get("lr", 0.0)
    for step in range(1, 5):
        trial.report(value + 1 / step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return float(value)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_trials_come_out(name: str) -> None:
    spec = make_spec(
        metrics=[{"name": "loss", "direction": "Minimize"}],
        parameters=STEPS if name == "Grid" else MIXED,
        strategy=STRATEGIES[name],
        budget={"trials": TRIALS},
        seed=SEED,
    )
    once = searched(spec, processes=1)
    assert searched(spec, processes=1) == once
    assert searched(spec, processes=6) == once
    assert len({str(point) for point, _, _ in once}) > TRIALS // 2, "a search that stands still is easily repeated"
