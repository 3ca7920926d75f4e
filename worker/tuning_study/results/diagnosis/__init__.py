"""What is wrong with a round, seen from its trials: each diagnosis has its evidence in numbers and says what to change.

Pure. Called by `tuning diagnose`, by reports, and by the operator for `status.diagnosis`. A rule keeps silent until
enough trials are known; tests/unit/study/test_diagnosis.py holds how often healthy studies are spoken of.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from tuning_study.api.status import MAX_DIAGNOSES, Diagnosis
from tuning_study.results.diagnosis import convergence, execution, space
from tuning_study.results.diagnosis.evidence import Evidence

__all__ = ["Evidence", "diagnose", "fitting"]

Rule = Callable[[Evidence], Iterator[str]]

_RULES: Sequence[tuple[str, Rule]] = (
    ("NoFeasibleTrial", execution.no_feasible_trial),
    ("FailuresByCause", execution.failures_by_cause),
    ("UnstableObjective", convergence.unstable_objective),
    ("NoConvergence", convergence.no_convergence),
    ("BestAtBoundary", space.best_at_boundary),
    ("RepeatedParameters", space.repeated_parameters),
    ("MoreTrialsThanItCanUse", convergence.more_trials_than_it_can_use),
    ("PhaseBroughtNothing", convergence.phase_brought_nothing),
    ("NothingPruned", execution.nothing_pruned),
    ("NearlyAllPruned", execution.nearly_all_pruned),
    ("IdleWorkers", execution.idle_workers),
)


def diagnose(evidence: Evidence) -> list[Diagnosis]:
    """At most ten, the gravest first, and one for each reason."""
    found = [Diagnosis(reason=reason, message=message) for reason, rule in _RULES for message in rule(evidence)]
    return found[:MAX_DIAGNOSES]


def fitting(found: Sequence[Diagnosis], most_bytes: int) -> list[Diagnosis]:
    """The gravest of them, as many as fit."""
    sizes = accumulate(len(each.reason.encode()) + len(each.message.encode()) for each in found)
    return [each for each, size in zip(found, sizes, strict=True) if size <= most_bytes]
