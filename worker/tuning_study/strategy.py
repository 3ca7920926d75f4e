"""Samplers, pruners and phases of the manifest as Optuna objects."""

import inspect
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from tuning_study.cma_es import CovarianceMatrixSampler
from tuning_study.exceptions import InvalidStudy
from tuning_study.gaussian_process import GaussianProcessSampler
from tuning_study.grid import SharedGridSampler
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
# Python objects, or ours to give: no text in a manifest can stand for them.
_NOT_OPTIONS = frozenset(
    {"seed", "independent_sampler", "constraints_func", "weights", "gamma", "source_trials", "mutation", "crossover"}
    | {"elite_population_selection_strategy", "child_generation_strategy", "after_trial_strategy", "search_space"}
)


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
        if sampler.options:
            raise InvalidStudy([f"strategy: Grid has no options; remove {', '.join(sorted(sampler.options))}"])
        return SharedGridSampler(spec.parameters)
    seeds: dict[str, Any] = {"seed": trial_seed}
    if sampler.type == "QMC":
        seeds = {"seed": study_seed, "independent_sampler": optuna.samplers.RandomSampler(seed=trial_seed)}
    with warnings.catch_warnings():  # what Optuna calls experimental is no news to the author of a manifest
        warnings.simplefilter("ignore", ExperimentalWarning)
        return _SAMPLERS[sampler.type](**_arguments(sampler), **seeds)


def build_pruner(pruner: Pruner) -> BasePruner:
    return _PRUNERS[pruner.type](**_arguments(pruner))


def phase_at(phases: Sequence[Phase], taken: int) -> Phase:
    """The phase of the next trial when `taken` trials are finished or running; the last phase has no end."""
    for phase in phases[:-1]:
        if taken < phase.trials:
            return phase
        taken -= phase.trials
    return phases[-1]


def check_strategy(spec: TuningStudySpec) -> list[str]:
    """What Optuna would refuse; one sentence each."""
    problems: list[str] = []
    for phase in spec.phases:
        try:
            build_sampler(phase.sampler, spec, 0, 0)
            build_pruner(phase.pruner)
        except InvalidStudy as invalid:
            problems += invalid.problems
        except (ValueError, TypeError) as refused:
            problems.append(f"strategy: {phase.sampler.type} with pruner {phase.pruner.type}: {refused}")
    return problems or _check_grid(spec)


def _check_grid(spec: TuningStudySpec) -> list[str]:
    """A grid alone ends with its last point; more trials would only repeat some."""
    if len(spec.phases) > 1 or spec.phases[0].sampler.type != "Grid" or spec.budget.trials is None:
        return []
    points = SharedGridSampler(spec.parameters).size
    if spec.budget.trials <= points:
        return []
    return [f"budget.trials: the grid has {points} points, not {spec.budget.trials}: write {points} or fewer"]


def _arguments(part: Sampler | Pruner) -> dict[str, Any]:
    known = _options_of(part.type)
    unknown = sorted(set(part.options) - known)
    if unknown:
        raise InvalidStudy(
            [f"strategy: {part.type} has no option {name!r}; it knows {', '.join(sorted(known))}" for name in unknown]
        )
    return _DEFAULTS.get(part.type, {}) | {to_snake_case(name): value for name, value in part.options.items()}


@cache
def _options_of(kind: str) -> frozenset[str]:
    build = _SAMPLERS.get(kind) or _PRUNERS.get(kind)
    names = frozenset(inspect.signature(build).parameters) if build else frozenset()
    return frozenset(map(to_camel_case, names - _NOT_OPTIONS))


def to_camel_case(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def to_snake_case(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)
