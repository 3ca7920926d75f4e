"""Samplers, pruners and phases of the manifest as Optuna objects."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, nsgaii

from tuning_study.api.options import CROSSOVERS, PRUNERS, SAMPLERS, SamplerOptions, arguments
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Phase, Pruner, Sampler, WrappedPruner
from tuning_study.exceptions import InvalidStudy
from tuning_study.search.auto import sampler_at
from tuning_study.search.fold_pruner import FoldPruner
from tuning_study.search.samplers.cma_es import CovarianceMatrixSampler
from tuning_study.search.samplers.gaussian.sampler import GaussianProcessSampler
from tuning_study.search.samplers.grid import SharedGridSampler
from tuning_study.search.samplers.reseeded import ReseededSampler
from tuning_study.search.samplers.tpe import TreeParzenSampler

_SAMPLERS: Mapping[str, Callable[..., BaseSampler]] = {
    "Random": optuna.samplers.RandomSampler,
    "QMC": optuna.samplers.QMCSampler,
    "TPE": TreeParzenSampler,
    "CmaEs": CovarianceMatrixSampler,
    "NSGAII": optuna.samplers.NSGAIISampler,
    "NSGAIII": optuna.samplers.NSGAIIISampler,
}
_PRUNERS: Mapping[str, Callable[..., BasePruner]] = {
    "None": optuna.pruners.NopPruner,
    "Median": optuna.pruners.MedianPruner,
    "Percentile": optuna.pruners.PercentilePruner,
    "SuccessiveHalving": optuna.pruners.SuccessiveHalvingPruner,
    "Hyperband": optuna.pruners.HyperbandPruner,
    "Patient": optuna.pruners.PatientPruner,
    "Threshold": optuna.pruners.ThresholdPruner,
    "Wilcoxon": optuna.pruners.WilcoxonPruner,
}
_CROSSOVERS: Mapping[str, Callable[..., nsgaii.BaseCrossover]] = {
    "Uniform": nsgaii.UniformCrossover,
    "BLXAlpha": nsgaii.BLXAlphaCrossover,
    "SPX": nsgaii.SPXCrossover,
    "SBX": nsgaii.SBXCrossover,
    "VSBX": nsgaii.VSBXCrossover,
    "UNDX": nsgaii.UNDXCrossover,
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
        self._kept: dict[tuple[str, str], ReseededSampler | SharedGridSampler] = {}

    def for_trial(self, phase: Phase, taken: int, trial_seed: int) -> BaseSampler:
        """The phase's sampler for a trial that begins when `taken` trials are finished or running. It draws what a new
        one would, given the same seed and history."""
        wanted = sampler_at(phase.sampler, self._spec, taken)
        kept = self._kept.get((phase.name, wanted.type))
        if kept is None:
            sampler = build_sampler(wanted, self._spec, self._study_seed, trial_seed)
            if isinstance(sampler, ReseededSampler | SharedGridSampler):
                self._kept[phase.name, wanted.type] = sampler
            return sampler
        if isinstance(kept, ReseededSampler):
            kept.reseed(trial_seed)
        return kept


def build_sampler(sampler: Sampler, spec: TuningStudySpec, study_seed: int, trial_seed: int) -> BaseSampler:
    """The sampler for one trial; `sampler_at` says which one Auto is.

    Workers that draw from one sequence (QMC) share the study's seed; all else comes from the trial's own, so that no
    two trials draw the same numbers and each can be repeated.
    """
    if sampler.type == "Grid":
        return SharedGridSampler(spec.parameters)
    seeds: dict[str, Any] = {"seed": trial_seed}
    if sampler.type == "QMC":
        seeds = {"seed": study_seed, "independent_sampler": optuna.samplers.RandomSampler(seed=trial_seed)}
    with _no_news_of_experiments():
        given = arguments(sampler.type, sampler.options, SAMPLERS) | _operators(sampler.options)
        if sampler.type == "GP":
            return GaussianProcessSampler(spec.parameters, **given, **seeds)
        return _SAMPLERS[sampler.type](**_DEFAULTS.get(sampler.type, {}) | given, **seeds)


def _operators(options: SamplerOptions) -> dict[str, Any]:
    """What NSGAII and NSGAIII combine and change trials with."""
    built: dict[str, Any] = {}
    if (crossover := options.crossover) is not None:
        given = arguments(crossover.type, crossover, CROSSOVERS)
        if crossover.type == "Uniform" and options.swapping_prob is not None:
            given["swapping_prob"] = options.swapping_prob
        built["crossover"] = _CROSSOVERS[crossover.type](**given)
    if (mutation := options.mutation) is not None:
        built["mutation"] = nsgaii.PolynomialMutation(**({} if mutation.eta is None else {"eta": mutation.eta}))
    return built


def build_pruner(pruner: Pruner, spec: TuningStudySpec) -> BasePruner:
    if pruner.type != "Patient":
        return _build_pruner(pruner, spec)
    wrapped = _build_pruner(pruner.wrapped, spec) if pruner.wrapped else None
    with _no_news_of_experiments():
        return optuna.pruners.PatientPruner(wrapped, **arguments(pruner.type, pruner.options, PRUNERS))


def _build_pruner(pruner: Pruner | WrappedPruner, spec: TuningStudySpec) -> BasePruner:
    given = arguments(pruner.type, pruner.options, PRUNERS)
    with _no_news_of_experiments():
        built = _PRUNERS[pruner.type](**_DEFAULTS.get(pruner.type, {}) | given)
    # A cross-validated trial reports means so far, by which the others can judge it, and which Wilcoxon has to undo.
    return FoldPruner(built) if pruner.type == "Wilcoxon" and spec.objective.sklearn else built


@contextmanager
def _no_news_of_experiments() -> Iterator[None]:
    """What Optuna calls experimental is no news to the author of a manifest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


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
