"""Claims on a Redis, as changes of a round and its trials that its storage carries out as one transaction."""

from collections.abc import Sequence
from datetime import timedelta

from optuna.trial import TrialState

from tuning_store.redis.round_state import RoundTransaction, attempts_of, worker_of
from tuning_store.redis.transactions import TransactionalJournal
from tuning_store.retry import RetryPolicy, retried
from tuning_store.values import ClaimedTrial
from tuning_study.budget import ClaimDecision, StopReason, may_claim, stop_reason


class RedisClaims:
    """See interfaces.Claims."""

    def __init__(self, journal: TransactionalJournal) -> None:
        self._journal = journal

    @property
    def retry(self) -> RetryPolicy:
        return self._journal.retry

    @property
    def _own_worker(self) -> str:
        assert self._journal.worker is not None, "a store that was opened without a worker claims nothing"
        return self._journal.worker

    def claim(self, study_id: int) -> ClaimedTrial | ClaimDecision:
        found = self.retry.telling(
            lambda repeated: self._journal.transact(study_id, lambda transaction: self._claim(transaction, repeated))
        )
        if isinstance(found, ClaimDecision):
            return found
        number, taken, attempt = found
        trial_id = self._journal.get_trial_id_from_study_id_trial_number(study_id, number)
        return ClaimedTrial(trial_id, number, taken, attempt)

    def _claim(self, transaction: RoundTransaction, repeated: bool) -> tuple[int, int, int] | ClaimDecision:
        """The trial's number, how many were taken before, and which attempt this is."""
        own = transaction.running_of([self._own_worker])
        transaction.release(own) if repeated else transaction.requeue_lost(own)
        counts, round, waiting = transaction.counts, transaction.round, transaction.oldest_waiting
        decision = may_claim(counts, round.limits)
        if decision is not ClaimDecision.TAKE:
            return decision
        round.first_claim_at = round.first_claim_at or round.now
        taken = counts.used + counts.running
        if waiting is None:
            transaction.create(self._own_worker)
            return len(transaction.trials), taken, 1
        attempt = attempts_of(waiting) + 1
        transaction.assign(waiting, self._own_worker, attempt)
        transaction.set_state(waiting, TrialState.RUNNING)
        return waiting.number, taken, attempt

    def record_heartbeat(self, study_id: int) -> StopReason | None:
        ended = self._journal.transact(study_id, lambda found: stop_reason(found.counts, found.round.limits))
        self._journal.record_seen(study_id, self._own_worker)
        return ended

    @retried
    def release(self, study_id: int, worker: str, *, killed: bool = False) -> list[int]:
        def release(transaction: RoundTransaction) -> list[int]:
            own = transaction.running_of([worker])
            return transaction.requeue_lost(own) if killed else transaction.release(own)

        return self._journal.transact(study_id, release)

    @retried
    def fail_trials_of(self, study_id: int, worker: str, reason: str) -> list[int]:
        def fail(transaction: RoundTransaction) -> list[int]:
            own = transaction.running_of([worker])
            for trial in own:
                transaction.fail(trial, reason)
            return [trial.number for trial in own]

        return self._journal.transact(study_id, fail)

    @retried
    def requeue_stale(self, study_id: int, *, stale_after: timedelta, alive: Sequence[str] = ()) -> list[int]:
        def requeue(transaction: RoundTransaction) -> list[int]:
            seen = self._journal.read_seen(study_id)
            well = {worker for worker, at in seen.items() if at >= transaction.round.now - stale_after} | set(alive)
            claimed = {worker for trial in transaction.trials if (worker := worker_of(trial)) is not None}
            return transaction.requeue_lost(transaction.running_of(sorted(claimed - well)))

        return self._journal.transact(study_id, requeue)

    @retried
    def forget_workers(self, study_id: int, names: Sequence[str], *, stale_after: timedelta) -> bool:
        now = self._journal.forget_seen(study_id, names)
        return any(at >= now - stale_after for at in self._journal.read_seen(study_id).values())

    @retried
    def stop(self, study_id: int, reason: StopReason, detail: str) -> None:
        def stop(transaction: RoundTransaction) -> None:
            if transaction.round.stop is None:
                transaction.round.stop, transaction.round.detail = reason, detail

        self._journal.transact(study_id, stop)
