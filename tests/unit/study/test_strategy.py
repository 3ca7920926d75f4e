"""Samplers, pruners and phases of a manifest as Optuna's; what Optuna would refuse is told before anything runs."""

from typing import Any, get_args

import optuna
import pytest

from builders import choice, make_spec, real, when, whole
from tuning_study.space import suggest
from tuning_study.spec import Phase, Pruner, PrunerType, Sampler, SamplerType, TuningStudySpec
from tuning_study.strategy import (
    Samplers,
    build_pruner,
    build_sampler,
    check_strategy,
    phase_at,
)

STEPPED = [real("x", 0, 1, step=0.5), choice("kernel", ["rbf", "poly"]), whole("n", 1, 2, **when("kernel", "poly"))]


def one_trial(sampler: Sampler, spec: TuningStudySpec, study: optuna.Study, number: int) -> dict[str, Any]:
    study.sampler = build_sampler(sampler, spec, study_seed=7, trial_seed=number)
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


@pytest.mark.parametrize("kind", ["Random", "TPE", "CmaEs", "GP", "NSGAII"])
def test_a_kept_sampler_draws_what_one_built_for_the_trial_would(kind: Any) -> None:
    spec = make_spec(parameters=[real("x"), real("y")])
    kept, phase = Samplers(spec, study_seed=7), Phase(name="search", trials=20, sampler=Sampler(type=kind))
    once, again = optuna.create_study(), optuna.create_study()
    for number in range(14):
        once.sampler = kept.for_trial(phase, number)
        trial = once.ask()
        once.tell(trial, float(str(suggest(trial, spec.parameters)["x"])))
        one_trial(phase.sampler, spec, again, number)
    assert [trial.params for trial in once.trials] == [trial.params for trial in again.trials]


def test_a_sampler_that_remembers_is_kept_for_its_phase() -> None:
    kept = Samplers(make_spec(), study_seed=7)
    phases = [Phase(name=name, trials=9, sampler=Sampler(type="TPE")) for name in ("broad", "narrow")]
    assert kept.for_trial(phases[0], 1) is kept.for_trial(phases[0], 2)
    assert kept.for_trial(phases[0], 3) is not kept.for_trial(phases[1], 3)


def test_what_a_sequence_leaves_to_chance_differs_from_trial_to_trial() -> None:
    """All workers share the sequence's seed; what is drawn beside it must not be the same in each trial."""
    study = optuna.create_study()
    study.enqueue_trial({"x": 0.0, "kernel": "rbf"})
    points = [one_trial(Sampler(type="QMC"), make_spec(parameters=STEPPED), study, number) for number in range(30)]
    assert {point["n"] for point in points if "n" in point} == {1, 2}


@pytest.mark.parametrize("kind", get_args(PrunerType))
def test_every_pruner_is_built_without_options(kind: Any) -> None:
    assert isinstance(build_pruner(Pruner(type=kind)), optuna.pruners.BasePruner)


def test_options_are_optunas_arguments_in_camel_case() -> None:
    pruner = build_pruner(Pruner(type="Median", options={"nStartupTrials": 3, "nWarmupSteps": 2}))
    assert (pruner._n_startup_trials, pruner._n_warmup_steps) == (3, 2)  # type: ignore[attr-defined]


def test_a_default_of_ours_gives_way_to_an_option() -> None:
    pruner = build_pruner(Pruner(type="Percentile", options={"percentile": 60.0}))
    assert pruner._percentile == 60.0  # type: ignore[attr-defined]


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
