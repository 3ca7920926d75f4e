"""What every kind of store offers beside Optuna's own interface: claims, rounds and readings.

A storage implements StudyStorage for one kind of server: postgres.storage, sql.storage (MySQL, SQLite) and
redis.storage. Workers, the operator and the command see these interfaces alone.

For all three holds:

- Threads: every method may be called by any number of threads and processes at once.
- Transactions: every method is one transaction. It has happened as a whole, or not at all.
- Times: the server's clock decides, so that no worker's clock matters.
- Errors: UnknownRound for a round, or a study, that is not in the store; StoreUnavailable, AuthenticationRefused and
  PermissionRefused for a server that cannot be used. Rounds and readings that are cut off may simply be repeated.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, Self

from tuning_store.retry import RetryPolicy
from tuning_store.values import ClaimedTrial, Owner, Progress, RunningTrial, TrialDetails
from tuning_study.api.budget import Budget
from tuning_study.budget import ClaimDecision, StopReason
from tuning_study.results.candidates import Candidate
from tuning_study.search.space import Point


class Claims(Protocol):
    """Who runs which trial of a round. `study_id` is Optuna's id of the round's study.

    A trial belongs to the worker that claimed it until that worker finishes it (by Optuna's set_trial_state_values on
    the worker's storage), or one of the methods below takes it away; from then on the worker gets ClaimLost for
    whatever it still writes. Each method holds the study's lock, under which Optuna numbers trials too, so that
    finished and running trials never exceed the budget. `claim` and `record_heartbeat` are the storage's own worker's;
    the others name whose trials they mean, and return the numbers of those that they changed.

    While the server is away, all methods but `record_heartbeat` are repeated by the storage's RetryPolicy. Repeating is
    safe: a claim whose answer was lost is not charged as an attempt, and the others find nothing more to do.
    """

    def claim(self, study_id: int) -> ClaimedTrial | ClaimDecision:
        """One more trial: the oldest that waits, or a new one. ClaimDecision.WAIT or OVER where there is none.

        A worker runs one trial at a time. One that is still its own was claimed by an earlier life of the worker: it
        waits again, or has failed when that happened MAX_ATTEMPTS times.
        """
        ...

    def record_heartbeat(self, study_id: int) -> StopReason | None:
        """The worker is alive. Returns why its round takes no more trials, None while it goes on.

        Nobody repeats it: the next heartbeat makes up for one that failed.
        """
        ...

    def release(self, study_id: int, worker: str, *, killed: bool = False) -> list[int]:
        """What `worker` runs waits for another: same trial, same parameters, charged to nobody.

        Of a worker that was `killed`, and not by a disruption, it is charged: what its trial did may have been the
        cause. Then a trial that lost MAX_ATTEMPTS workers has failed.
        """
        ...

    def fail_trials_of(self, study_id: int, worker: str, reason: str) -> list[int]:
        """What `worker` runs has failed, for a trial that brought its own worker down. People read `reason`."""
        ...

    def requeue_stale(self, study_id: int, *, stale_after: timedelta, alive: Sequence[str] = ()) -> list[int]:
        """What is run by workers without a heartbeat for so long waits again, or has failed, as of killed workers.

        Workers that are known to be `alive` are left alone.
        """
        ...

    def forget_workers(self, study_id: int, names: Sequence[str], *, stale_after: timedelta) -> bool:
        """These workers have ended. Whether any other had a heartbeat within `stale_after`."""
        ...

    def stop(self, study_id: int, reason: StopReason, detail: str) -> None:
        """The round is over for all workers; people read `detail`. The first reason stays."""
        ...


class Rounds(Protocol):
    """The rows that rounds have beside Optuna's studies. `study` is the name of a round's study.

    Changes of a round that is not there do nothing, but on Redis, where they raise UnknownRound.
    """

    def exist(self) -> bool:
        """Whether the store's tables were ever made."""
        ...

    def find(self, study: str) -> int:
        """Optuna's id of the round's study. Raises UnknownRound."""
        ...

    def add(
        self, study_id: int, study: str, digest: str, budget: Budget, owner: Owner, points: Sequence[Point]
    ) -> None:
        """Make the round, and a trial that waits for each of the points. Nothing happens when the round is there."""
        ...

    def remove(self, study_id: int) -> None:
        """Remove the round with its claims and workers; the study itself stays. Nothing happens when it is gone."""
        ...

    def set_budget(self, study: str, budget: Budget) -> None:
        """Raise or lower the budget of a round in flight. Claims and results after the call's return obey it."""
        ...

    def set_paused(self, study: str, paused: bool) -> None:
        """Stop or allow claims. A pause does not count towards budget.duration."""
        ...

    def set_retain(self, study: str, retain: bool) -> None:
        """Whether the round's history outlives its resource."""
        ...

    def reopen(self, study: str) -> None:
        """Let a round that its workers rejected, or whose trials failed alike, be tried again."""
        ...


class Readings(Protocol):
    """How rounds stand. `study` is the name of a round's study."""

    def progress(self) -> dict[str, Progress]:
        """All rounds that the login sees by itself, by the study's name."""
        ...

    def candidates(self, study: str) -> list[Candidate]:
        """The complete trials of the round, as far as choosing the best needs them."""
        ...

    def trial(self, study: str, number: int) -> TrialDetails:
        """Empty for a trial that is not there."""
        ...

    def failures(self, study: str) -> list[tuple[str, int]]:
        """Why trials failed, and how often, the most frequent reason first."""
        ...

    def running(self, study: str) -> list[RunningTrial]:
        """What each worker is at."""
        ...

    def workers(self, study: str) -> dict[int, str]:
        """Who ran which trial, by its number."""
        ...

    def active_seconds(self, study: str) -> float:
        """Seconds that the round has run, without its pauses."""
        ...


class StudyStorage(Protocol):
    """What each of this package's Optuna storages offers besides. See Store, which most callers use instead."""

    worker: str | None
    """Whose claims its results are checked against; None for readers and for plain Optuna."""
    retry: RetryPolicy

    @property
    def claims(self) -> Claims: ...
    @property
    def rounds(self) -> Rounds: ...
    @property
    def readings(self) -> Readings: ...

    def as_worker(self, worker: str) -> Self:
        """The same connections, with another worker's claims."""
        ...

    def close(self) -> None:
        """Write what is still kept back, and let go of the connections."""
        ...
