"""Values that every kind of store gives and takes, and what follows from a round's row, whatever holds it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from optuna.trial import FrozenTrial, TrialState

from tuning_study.budget import Counts, RoundLimits, StopReason, stop_reason

RoundKey = tuple[str | None, str]
"""A tenant's schema and a round's name. A name alone says nothing: each tenant writes its own tables."""

DURATION_BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Upper bounds of the buckets in which durations of trials are counted, in seconds."""


@dataclass(frozen=True)
class ClaimedTrial:
    """A trial that is now this worker's: RUNNING, and charged to the budget when it completes or is pruned."""

    trial_id: int
    number: int
    taken: int
    """Trials that were finished or running before; decides the phase."""
    attempt: int
    """1, then one more each time its worker was lost."""


@dataclass(frozen=True)
class RunningTrial:
    """What a worker is at."""

    number: int
    worker: str
    seconds: float
    """Since the worker began this attempt."""
    attempts: int


@dataclass(frozen=True)
class TrialDetails:
    """What one trial was given and what it left, as Optuna tells them."""

    parameters: Mapping[str, Any]
    attributes: Mapping[str, Any]
    """The user attributes."""


@dataclass(frozen=True)
class Owner:
    """Who keeps a round's history: the cluster (or "local"), and whether it outlives the resource."""

    owner: str
    retain: bool = False


@dataclass(frozen=True)
class Progress:
    """A round at one moment. Times are the server's, in UTC without saying so."""

    study: str
    schema: str | None
    """The tenant's; None where the login's own tables were read."""
    owner: str
    digest: str
    """Of the part of the spec that is fixed for a round."""
    counts: Counts
    limits: RoundLimits
    duration: float | None
    """The budget's, in seconds."""
    detail: str | None
    """What a person should know of the stop."""
    retain: bool
    started_at: datetime
    last_finished_at: datetime | None = None
    counts_by_worker: Mapping[str, Counts] = field(default_factory=dict)
    seconds_since_heartbeat: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Of each worker that runs a trial; they grow by themselves. PostgreSQL alone tells."""

    @property
    def stop_reason(self) -> StopReason | None:
        return stop_reason(self.counts, self.limits)


@dataclass(frozen=True)
class Durations:
    """How long a round's trials took. `cumulative` counts those up to each of DURATION_BOUNDS, and all of them last."""

    cumulative: Sequence[int]
    total_seconds: float


class RoundRow(Protocol):
    """What a store keeps of a round: a row of tuning_rounds, or Redis's RoundState. `now` is the server's clock."""

    @property
    def trials(self) -> int | None: ...
    @property
    def failed_trials(self) -> int: ...
    @property
    def duration(self) -> float | None: ...
    @property
    def stop(self) -> str | None: ...
    @property
    def first_claim_at(self) -> datetime | None: ...
    @property
    def paused_at(self) -> datetime | None: ...
    @property
    def paused_for(self) -> float: ...
    @property
    def now(self) -> datetime: ...


def limits_of(row: RoundRow) -> RoundLimits:
    return RoundLimits(
        trials=row.trials,
        failed_trials=row.failed_trials,
        stop=StopReason(row.stop) if row.stop else None,
        paused=row.paused_at is not None,
        past_deadline=row.duration is not None and active_seconds(row) >= row.duration,
    )


def active_seconds(row: RoundRow) -> float:
    """Seconds since the round's first trial began, without the pauses since."""
    if row.first_claim_at is None:
        return 0.0
    until = row.paused_at or row.now
    return float((until - row.first_claim_at).total_seconds() - row.paused_for)


def paused_seconds(row: RoundRow) -> float:
    """Seconds of all pauses, the current one included: what `paused_for` becomes when it ends."""
    since = row.first_claim_at or row.now
    return (row.now - since).total_seconds() - active_seconds(row)


def count(trials: Iterable[FrozenTrial]) -> Counts:
    """Trials by state."""
    by_state = Counter(trial.state for trial in trials)
    return Counts(
        complete=by_state[TrialState.COMPLETE],
        pruned=by_state[TrialState.PRUNED],
        failed=by_state[TrialState.FAIL],
        running=by_state[TrialState.RUNNING],
        waiting=by_state[TrialState.WAITING],
    )
