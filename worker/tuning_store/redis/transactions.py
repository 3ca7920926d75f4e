"""Rounds in a Redis, read and changed together with their trials by optimistic transactions (WATCH, MULTI), which are
decided again on conflict. What redis.storage, and its claims, rounds and readings, are made of."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from optuna.trial import FrozenTrial
from redis import Redis
from redis.client import Pipeline

from tuning_store.exceptions import SchemaMismatch, UnknownRound
from tuning_store.optuna_internals import JournalReplay, id_of_study
from tuning_store.redis.log import RedisJournal, append, clock, translated
from tuning_store.redis.round_state import RoundState, RoundTransaction
from tuning_store.retry import RetryPolicy
from tuning_study.search.space import Point

R = TypeVar("R")

FORMAT = 1
"""Of rounds and heartbeats; Optuna's journal has none. A change that older programs misread gets the next number."""
_FORMAT_KEY = "tuning:format"


class TransactionalJournal(JournalReplay):
    """Optuna's JournalStorage, with the rounds beside it. Safe for several threads; nothing is retried here."""

    def __init__(self, redis: Redis, worker: str | None, retry: RetryPolicy) -> None:
        self.redis, self.worker, self.retry = redis, worker, retry
        super().__init__(RedisJournal(redis))

    def transact(self, study_id: int, decide: Callable[[RoundTransaction], R]) -> R:
        """Carry out what `decide` makes of the round and its trials, if nobody changes them meanwhile; else again."""

        def attempt(pipe: Pipeline) -> R:
            round = _read_round(study_id, pipe.get(_round_key(study_id)), clock(pipe))
            before = round.model_dump_json()
            self.read_on()
            transaction = RoundTransaction(study_id, round, self.trials_of(study_id), self.writer)
            outcome = decide(transaction)
            if transaction.logs or round.model_dump_json() != before:
                _write(pipe, transaction)
            return outcome

        return self._repeat_on_conflict(study_id, attempt)

    def create_round(self, study_id: int, round: RoundState, points: Sequence[Point]) -> None:
        """Nothing happens when it is there."""

        def write(pipe: Pipeline) -> None:
            if pipe.exists(_round_key(study_id)):
                return
            transaction = RoundTransaction(study_id, round, [], self.writer)
            for point in points:
                transaction.enqueue(point)
            _write(pipe, transaction)
            pipe.set(_FORMAT_KEY, FORMAT)

        self._repeat_on_conflict(study_id, write)

    def check_format(self) -> None:
        """Raises SchemaMismatch for rounds that this program cannot read."""
        with translated():
            found = int(self.redis.get(_FORMAT_KEY) or FORMAT)
        if found > FORMAT:
            raise SchemaMismatch(
                f"the rounds in this Redis are of format {found}, and this program reads up to {FORMAT}: a newer "
                "version of it wrote them; update this one"
            )

    def delete_round(self, study_id: int) -> None:
        with translated():
            self.redis.delete(_round_key(study_id), seen_key(study_id))

    def read_round(self, study: str) -> tuple[int, RoundState, list[FrozenTrial]]:
        """Its id, itself and its trials. Raises UnknownRound."""
        found = self.read_rounds().get(study)
        if found is None:
            raise UnknownRound(f"{study} is not in the store")
        return found

    def read_rounds(self) -> dict[str, tuple[int, RoundState, list[FrozenTrial]]]:
        """All rounds, by the study's name: id, round and trials."""
        with self.lock, translated():
            self.read_on()
            names = {id_of_study(study): study.study_name for study in self.studies()}
            now, found = clock(self.redis), self.redis.mget([_round_key(n) for n in names]) if names else []
            return {
                name: (study_id, _read_round(study_id, text, now), self.trials_of(study_id))
                for (study_id, name), text in zip(names.items(), found, strict=True)
                if text is not None
            }

    def record_seen(self, study_id: int, worker: str) -> None:
        """The worker had a heartbeat now."""
        with translated():
            self.redis.hset(seen_key(study_id), worker, clock(self.redis).isoformat())

    def read_seen(self, study_id: int) -> dict[str, datetime]:
        """When each worker had its last heartbeat."""
        with translated():
            found: Any = self.redis.hgetall(seen_key(study_id))
        return {worker.decode(): datetime.fromisoformat(at.decode()) for worker, at in found.items()}

    def forget_seen(self, study_id: int, workers: Sequence[str]) -> datetime:
        """Returns the server's time."""
        with translated():
            if workers:
                self.redis.hdel(seen_key(study_id), *workers)
            return clock(self.redis)

    def _repeat_on_conflict(self, study_id: int, attempt: Callable[[Pipeline], R]) -> R:
        with self.lock, translated():
            transaction: Any = self.redis.transaction  # its types know of no outcome
            outcome: R = transaction(attempt, _round_key(study_id), value_from_callable=True)
            self.read_on()
            return outcome


def _round_key(study_id: int) -> str:
    return f"tuning:round:{study_id}"


def seen_key(study_id: int) -> str:
    return f"tuning:seen:{study_id}"


def _write(pipe: Pipeline, transaction: RoundTransaction) -> None:
    pipe.multi()
    pipe.set(_round_key(transaction.study_id), transaction.round.model_dump_json())
    append(pipe, transaction.logs)


def _read_round(study_id: int, text: bytes | str | None, now: datetime) -> RoundState:
    if text is None:
        raise UnknownRound(f"study {study_id} is no longer in the store")
    return RoundState.model_validate({**json.loads(text), "now": now})
