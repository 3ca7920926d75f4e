"""Samplers, pruners and phases of a manifest as Optuna's; what Optuna would refuse is told before anything runs."""

import inspect
import json
import math
import subprocess
import sys
from typing import Any, get_args

import optuna
import pytest

from builders import choice, make_spec, real, when, whole
from tuning_study.api.options import PRUNERS, SAMPLERS, PrunerOptions, SamplerOptions
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Phase, Pruner, Sampler, SamplerType
from tuning_study.search.auto import sampler_at
from tuning_study.search.phases import phase_at
from tuning_study.search.samplers.gaussian.sampler import GaussianProcessSampler
from tuning_study.search.samplers.tpe import TreeParzenSampler
from tuning_study.search.space import suggest
from tuning_study.search.strategy import (
    _DEFAULTS,
    _PRUNERS,
    _SAMPLERS,
    Samplers,
    build_pruner,
    build_sampler,
    check_strategy,
)

STEPPED = [real("x", 0, 1, step=0.5), choice("kernel", ["rbf", "poly"]), whole("n", 1, 2, **when("kernel", "poly"))]


def one_trial(sampler: Sampler, spec: TuningStudySpec, study: optuna.Study, number: int) -> dict[str, Any]:
    drawing = sampler_at(sampler, spec, taken=number)
    study.sampler = build_sampler(drawing, spec, study_seed=7, trial_seed=number)
    trial = study.ask()
    point = suggest(trial, spec.parameters)
    study.tell(trial, float(str(point["x"])))
    return point


@pytest.mark.parametrize("kind", get_args(SamplerType))
def test_every_sampler_carries_a_conditional_space_past_its_start_up(kind: Any) -> None:
    spec = make_spec(parameters=STEPPED)
    study = optuna.create_study()
    points = [one_trial(Sampler(type=kind), spec, study, number) for number in range(14)]
    assert all(("n" in point) is (point["kernel"] == "poly") for point in points)
    assert len({str(point) for point in points}) > 1


@pytest.mark.parametrize("kind", ["Random", "TPE", "CmaEs", "NSGAII", "QMC"])
def test_the_same_seeds_draw_the_same_points(kind: Any) -> None:
    spec = make_spec(parameters=[real("x"), real("y")])
    drawn = []
    for _ in range(2):
        study = optuna.create_study()
        drawn.append([one_trial(Sampler(type=kind), spec, study, number) for number in range(12)])
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("kind", ["Auto", "Random", "TPE", "CmaEs", "GP", "NSGAII"])
def test_a_kept_sampler_draws_what_one_built_for_the_trial_would(kind: Any) -> None:
    spec = make_spec(parameters=[real("x"), real("y")])
    kept, phase = Samplers(spec, study_seed=7), Phase(name="search", trials=20, sampler=Sampler(type=kind))
    once, again = optuna.create_study(), optuna.create_study()
    for number in range(14):
        once.sampler = kept.for_trial(phase, number, number)
        trial = once.ask()
        once.tell(trial, float(str(suggest(trial, spec.parameters)["x"])))
        one_trial(phase.sampler, spec, again, number)
    assert [trial.params for trial in once.trials] == [trial.params for trial in again.trials]


def test_a_sampler_that_remembers_is_kept_for_its_phase() -> None:
    kept = Samplers(make_spec(), study_seed=7)
    phases = [Phase(name=name, trials=9, sampler=Sampler(type="TPE")) for name in ("broad", "narrow")]
    assert kept.for_trial(phases[0], 1, 1) is kept.for_trial(phases[0], 2, 2)
    assert kept.for_trial(phases[0], 3, 3) is not kept.for_trial(phases[1], 3, 3)


def test_auto_goes_on_with_another_sampler_on_the_same_history() -> None:
    kept, study = Samplers(make_spec(), study_seed=7), optuna.create_study()
    phase = Phase(name="search", trials=500)
    drawn = []
    for taken in (0, 199, 200):
        study.sampler = kept.for_trial(phase, taken, trial_seed=taken)
        study.tell(study.ask({"x": optuna.distributions.FloatDistribution(0, 1)}), 1.0)
        drawn.append(type(study.sampler))
    assert drawn == [GaussianProcessSampler, GaussianProcessSampler, TreeParzenSampler]


def test_what_a_sequence_leaves_to_chance_differs_from_trial_to_trial() -> None:
    """All workers share the sequence's seed; what is drawn beside it must not be the same in each trial."""
    study = optuna.create_study()
    study.enqueue_trial({"x": 0.0, "kernel": "rbf"})
    points = [one_trial(Sampler(type="QMC"), make_spec(parameters=STEPPED), study, number) for number in range(30)]
    assert {point["n"] for point in points if "n" in point} == {1, 2}


@pytest.mark.parametrize("kind", sorted(set(PRUNERS) - {"Patient", "Threshold"}))
def test_a_pruner_that_needs_no_option_is_built_without(kind: Any) -> None:
    assert isinstance(build_pruner(Pruner(type=kind), make_spec()), optuna.pruners.BasePruner)


def test_a_default_of_ours_gives_way_to_an_option() -> None:
    pruner = build_pruner(Pruner(type="Percentile", options={"percentile": 60.0}), make_spec())
    assert pruner._percentile == 60.0  # type: ignore[attr-defined]


def test_patient_wraps_another_pruner_with_options_of_its_own() -> None:
    manifest = {
        "type": "Patient",
        "options": {"patience": 3},
        "wrapped": {"type": "Median", "options": {"nMinTrials": 2}},
    }
    patient: Any = build_pruner(Pruner.model_validate(manifest), make_spec())
    assert isinstance(patient._wrapped_pruner, optuna.pruners.MedianPruner)
    assert (patient._patience, patient._wrapped_pruner._n_min_trials) == (3, 2)


def test_patient_alone_prunes_what_no_longer_improves() -> None:
    pruner = build_pruner(Pruner(type="Patient", options={"patience": 1, "minDelta": 0.5}), make_spec())
    trial = optuna.create_study(pruner=pruner).ask()
    pruned = []
    for step, loss in enumerate((3.0, 2.0, 2.1, 2.4, 2.6, 2.7)):
        trial.report(loss, step)
        pruned.append(trial.should_prune())
    assert pruned == [False, False, False, False, False, True]


@pytest.mark.parametrize(("loss", "pruned"), [(0.4, True), (0.5, False), (9.0, False), (9.1, True), (math.nan, True)])
def test_threshold_prunes_outside_of_its_bounds_and_at_nan(loss: float, pruned: bool) -> None:
    pruner = build_pruner(Pruner(type="Threshold", options={"lower": 0.5, "upper": 9}), make_spec())
    trial = optuna.create_study(pruner=pruner).ask()
    trial.report(loss, 0)
    assert trial.should_prune() is pruned


DEFAULTS = [
    pytest.param(options, made, name, _DEFAULTS.get(kind, {}), kind, id=f"{kind}-{name}")
    for options, table, classes in ((SamplerOptions, SAMPLERS, _SAMPLERS), (PrunerOptions, PRUNERS, _PRUNERS))
    for kind, made in classes.items()
    for name in table[kind]
]


@pytest.mark.parametrize(("options", "made", "name", "ours", "kind"), DEFAULTS)
def test_a_description_tells_the_default_that_holds(options: Any, made: Any, name: str, ours: Any, kind: str) -> None:
    default = {key: each.default for key, each in inspect.signature(made).parameters.items()} | ours
    _, _, told = options.model_fields[name].description.rstrip(".").partition("Default: ")
    usual, _, exception = told.partition(f", of {kind} ")
    if default[name] not in (None, inspect.Parameter.empty):  # else it is computed, and the description says how
        assert (exception or usual.partition(",")[0]) == json.dumps(default[name]).strip('"').removesuffix(".0")


def test_a_study_is_read_without_scipy() -> None:
    """The operator's image has none."""
    program = "import sys, tuning_study.manifest, tuning_study.search.strategy; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_finished_trials_move_the_study_along_and_the_last_phase_has_no_end() -> None:
    phases = [Phase(name=name, trials=trials) for name, trials in (("explore", 2), ("exploit", 3), ("refine", 1))]
    names = [phase_at(phases, taken).name for taken in range(8)]
    assert names == ["explore"] * 2 + ["exploit"] * 3 + ["refine"] * 3


def test_a_grid_that_is_smaller_than_the_budget_says_its_size() -> None:
    spec = make_spec(
        parameters=[{"name": "n", "type": "Int", "min": 1, "max": 5}],
        strategy={"sampler": {"type": "Grid"}},
        budget={"trials": 6},
    )
    assert check_strategy(spec) == ["budget.trials: the grid has 5 points, not 6: write 5 or fewer"]
