"""Samplers, pruners and phases of the manifest as Optuna objects."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from tuning_study.cma_es import CovarianceMatrixSampler
from tuning_study.exceptions import InvalidStudy
from tuning_study.gaussian_process import GaussianProcessSampler
from tuning_study.grid import SharedGridSampler
from tuning_study.options import PRUNERS, SAMPLERS, arguments
from tuning_study.reseeded import ReseededSampler
from tuning_study.spec import Phase, Pruner, Sampler, TuningStudySpec
from tuning_study.tpe import TreeParzenSampler

_SAMPLERS: Mapping[str, Callable[..., BaseSampler]] = {
    "Random": optuna.samplers.RandomSampler,
    "QMC": optuna.samplers.QMCSampler,
    "TPE": TreeParzenSampler,
    "CmaEs": CovarianceMatrixSampler,
    "GP": GaussianProcessSampler,
    "NSGAII": optuna.samplers.NSGAIISampler,
    "NSGAIII": optuna.samplers.NSGAIIISampler,
}
_PRUNERS: Mapping[str, Callable[..., BasePruner]] = {
    "None": optuna.pruners.NopPruner,
    "Median": optuna.pruners.MedianPruner,
    "Percentile": optuna.pruners.PercentilePruner,
    "SuccessiveHalving": optuna.pruners.SuccessiveHalvingPruner,
    "Hyperband": optuna.pruners.HyperbandPruner,
}
_DEFAULTS: Mapping[str, dict[str, Any]] = {
    "Percentile": {"percentile": 25.0},
    "QMC": {"scramble": True, "warn_asynchronous_seeding": False, "warn_independent_sampling": False},
}


class Samplers:
    """The samplers of one process and study: what one of them has read of the history it need not read again."""

    def __init__(self, spec: TuningStudySpec, study_seed: int) -> None:
        self._spec = spec
        self._study_seed = study_seed
        self._kept: dict[str, ReseededSampler | SharedGridSampler] = {}

    def for_trial(self, phase: Phase, trial_seed: int) -> BaseSampler:
        """The phase's sampler for one trial. It draws what a new one would, given the same seed and history."""
        kept = self._kept.get(phase.name)
        if kept is None:
            sampler = build_sampler(phase.sampler, self._spec, self._study_seed, trial_seed)
            if isinstance(sampler, ReseededSampler | SharedGridSampler):
                self._kept[phase.name] = sampler
            return sampler
        if isinstance(kept, ReseededSampler):
            kept.reseed(trial_seed)
        return kept


def build_sampler(sampler: Sampler, spec: TuningStudySpec, study_seed: int, trial_seed: int) -> BaseSampler:
    """The sampler for one trial.

    Workers that draw from one sequence (QMC) share the study's seed; all else comes from the trial's own, so that no
    two trials draw the same numbers and each can be repeated.
    """
    if sampler.type == "Grid":
        return SharedGridSampler(spec.parameters)
    seeds: dict[str, Any] = {"seed": trial_seed}
    if sampler.type == "QMC":
        seeds = {"seed": study_seed, "independent_sampler": optuna.samplers.RandomSampler(seed=trial_seed)}
    with warnings.catch_warnings():  # what Optuna calls experimental is no news to the author of a manifest
        warnings.simplefilter("ignore", ExperimentalWarning)
        given = arguments(sampler.type, sampler.options, SAMPLERS)
        return _SAMPLERS[sampler.type](**_DEFAULTS.get(sampler.type, {}) | given, **seeds)


def build_pruner(pruner: Pruner) -> BasePruner:
    given = arguments(pruner.type, pruner.options, PRUNERS)
    return _PRUNERS[pruner.type](**_DEFAULTS.get(pruner.type, {}) | given)


def phase_at(phases: Sequence[Phase], taken: int) -> Phase:
    """The phase of the next trial when `taken` trials are finished or running; the last phase has no end."""
    for phase in phases[:-1]:
        if taken < phase.trials:
            return phase
        taken -= phase.trials
    return phases[-1]


def check_strategy(spec: TuningStudySpec) -> list[str]:
    """A grid that nobody could walk, or that ends before the budget; one sentence each."""
    if all(phase.sampler.type != "Grid" for phase in spec.phases):
        return []
    try:
        points = SharedGridSampler(spec.parameters).size
    except InvalidStudy as invalid:
        return invalid.problems
    # A grid alone ends with its last point; more trials would only repeat some.
    if len(spec.phases) > 1 or spec.budget.trials is None or spec.budget.trials <= points:
        return []
    return [f"budget.trials: the grid has {points} points, not {spec.budget.trials}: write {points} or fewer"]
