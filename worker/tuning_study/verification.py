"""The verification of a round as a round of its own: the search's best trials, each measured again some times.

Workers begin it when the search is over and take its runs as they took trials. Which run a trial is follows from its
number, so that nothing but the round's study needs to be written or read.
"""

from typing import NamedTuple

from tuning_study.api.budget import Budget
from tuning_study.api.objective import Objective
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Sampler, Strategy
from tuning_study.budget import SUCCESSES, Counts, StopReason
from tuning_study.round import ResolvedRound
from tuning_study.seeds import trial_seed


class Run(NamedTuple):
    """One measurement of a candidate."""

    candidate: int
    """Its place among the candidates, from 0."""
    repeat: int
    """From 0. Run with the same repeat have the same seed."""


def is_due(spec: TuningStudySpec, over: StopReason | None, counts: Counts) -> bool:
    """Whether a search that stands so is followed by a verification."""
    return spec.verification is not None and over in SUCCESSES and counts.complete > 0


def is_under_way(spec: TuningStudySpec, over: StopReason | None, counts: Counts, ended: StopReason | None) -> bool:
    """Whether the best trials of a search that stands so are being measured again, or are yet to be. `ended` is why
    the verification is over; None while it goes on, and before it has begun."""
    return is_due(spec, over, counts) and ended is None


def verification_of(search: ResolvedRound, used: int, candidates: int) -> ResolvedRound:
    """The round that measures so many of the search's trials again; `used` of them are complete or pruned."""
    wanted = search.spec.verification
    assert wanted is not None
    runs = candidates * wanted.repeats
    # Whatever fails, the other runs are still worth having.
    budget = Budget(trials=runs, failed_trials=runs + 1, trial_duration=search.spec.budget.trial_duration, fail_fast=0)
    spec = search.spec.model_copy(
        update={
            "metrics": [metric.model_copy(update={"goal": None}) for metric in search.spec.metrics],
            "objective": _with_folds(search.spec, wanted.folds),
            "strategy": Strategy(sampler=Sampler(type="Random")),
            "budget": budget,
        }
    )
    return search.model_copy(update={"spec": spec, "verifies": used})


def run_of(number: int, verification: ResolvedRound) -> Run | None:
    """What the trial of this number measures: all candidates once, then all again. None for one that took the place of
    a run that failed, which nobody repeats."""
    wanted, runs = verification.spec.verification, verification.spec.budget.trials
    assert wanted is not None and runs is not None
    candidates = runs // wanted.repeats
    return Run(number % candidates, number // candidates) if number < runs else None


def run_seed(number: int, verification: ResolvedRound) -> int:
    """The objective's seed: of one repeat all candidates have the same, and no trial of the search has it."""
    run = run_of(number, verification)
    return trial_seed(verification.seed, run.repeat if run is not None else number, "verification")


def _with_folds(spec: TuningStudySpec, folds: int | None) -> Objective:
    sklearn = spec.objective.sklearn
    if sklearn is None or folds is None:
        return spec.objective
    validation = sklearn.cross_validation.model_copy(update={"folds": folds})
    return spec.objective.model_copy(update={"sklearn": sklearn.model_copy(update={"cross_validation": validation})})
