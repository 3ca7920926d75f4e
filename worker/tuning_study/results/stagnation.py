"""Whether a round's last trials have improved nothing: `budget.noImprovement`. Pure; asked by workers."""

from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from tuning_study.api.metrics import Metric
from tuning_study.results.candidates import Candidate, candidates, costs
from tuning_study.results.pareto import pareto_front

_ENDED_WELL = (TrialState.COMPLETE, TrialState.PRUNED)


def is_stagnant(objectives: Sequence[Metric], trials: Sequence[FrozenTrial], limit: int) -> bool:
    """Whether the last `limit` complete and pruned trials, in the order in which they ended, have improved nothing.

    An improvement is a feasible trial that is better in some objective than every trial before it that is no worse in
    the others: a better value, or with several objectives a new member of the Pareto front. While no trial is feasible
    there is nothing to improve, and the search goes on.
    """
    ended = sorted((trial for trial in trials if trial.state in _ENDED_WELL), key=_end)
    if len(ended) <= limit:
        return False
    # What joins the front of the earlier ones is, or is beaten by, an improvement of its time; nothing else is one.
    front = pareto_front(objectives, candidates(ended[:-limit]))
    return bool(front) and not any(
        _joins(objectives, entry, front) for entry in candidates(ended[-limit:]) if entry.feasible
    )


def _end(trial: FrozenTrial) -> tuple[datetime, int]:
    return trial.datetime_complete or datetime.max, trial.number


def _joins(objectives: Sequence[Metric], entry: Candidate, front: Sequence[Candidate]) -> bool:
    """Equal values are no gain."""
    cost = costs(objectives, entry)
    return not any(all(x <= y for x, y in zip(costs(objectives, other), cost, strict=True)) for other in front)
