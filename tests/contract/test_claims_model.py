"""Whatever workers, operators, networks and kills do, in whatever order: the store agrees with a small model."""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from builders import make_round
from tuning_store import schema
from tuning_store.exceptions import ClaimLost, translated
from tuning_store.postgres.connection import Connection
from tuning_store.store import Store, open_store
from tuning_store.values import ClaimedTrial
from tuning_study.api.budget import Budget
from tuning_study.budget import ClaimDecision, Counts
from tuning_study.worker_contract import MAX_ATTEMPTS

from .conftest import start_round

NAMES = ("w-0", "w-1", "w-2")
WORKERS = st.sampled_from(NAMES)
ENDS = st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
UNIT = FloatDistribution(0, 1)


@dataclass
class Model:
    """The whole of the claim's promise."""

    target: int
    failed_allowed: int
    paused: bool = False
    states: list[str] = field(default_factory=list)  # by number
    attempts: Counter[int] = field(default_factory=Counter)  # by number
    runs: dict[str, int] = field(default_factory=dict)  # worker → number
    ended: Counter[str] = field(default_factory=Counter)  # by worker

    def count(self, *states: str) -> int:
        return sum(state in states for state in self.states)

    @property
    def used(self) -> int:
        return self.count("COMPLETE", "PRUNED")

    @property
    def over(self) -> bool:
        return self.used >= self.target or self.count("FAIL") >= self.failed_allowed

    def expected_claim(self, worker: str) -> ClaimDecision | int:
        self.lose(worker)
        if self.over:
            return ClaimDecision.OVER
        if self.paused or self.used + self.count("RUNNING") >= self.target:
            return ClaimDecision.WAIT
        number = self.states.index("WAITING") if "WAITING" in self.states else len(self.states)
        self.states[number : number + 1] = ["RUNNING"]
        self.runs[worker] = number
        self.attempts[number] += 1
        return number

    def lose(self, worker: str) -> list[int]:
        """Nobody knows why the worker went: its trial waits again, or has failed with the last of its attempts."""
        if worker not in self.runs:
            return []
        number = self.runs[worker]
        if self.attempts[number] >= MAX_ATTEMPTS:
            self.end(worker, "FAIL")
        else:
            del self.runs[worker]
            self.states[number] = "WAITING"
        return [number]

    def release(self, worker: str) -> list[int]:
        if worker not in self.runs:
            return []
        number = self.runs.pop(worker)
        self.attempts[number] -= 1
        self.states[number] = "WAITING"
        return [number]

    def end(self, worker: str, state: str) -> None:
        self.states[self.runs.pop(worker)] = state
        self.ended[worker] += 1


BOUNDED = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.generate],  # making a failure smaller takes minutes, and thirty steps read well enough
    database=None,
)


class Round(RuleBasedStateMachine):
    url: str
    examples = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.store = open_store(self.url)
        self.workers: dict[str, Store] = {name: self.store.as_worker(name) for name in NAMES}
        self.known: dict[str, ClaimedTrial] = {}  # what each worker thinks it runs, rightly or not

    @initialize(trials=st.integers(1, 5), failed=st.integers(1, 3), given=st.integers(0, 2))
    def begin(self, trials: int, failed: int, given: int) -> None:
        resolved = make_round(name=f"r{next(self.examples)}", budget={"trials": trials, "failedTrials": failed})
        self.name = resolved.study
        self.study = start_round(self.store, resolved, points=tuple({"x": index / 10} for index in range(given)))
        self.model = Model(trials, failed, states=["WAITING"] * given)

    @rule(worker=WORKERS)
    def claim(self, worker: str) -> None:
        found = self.workers[worker].claims.claim(self.study)
        assert (found.number if isinstance(found, ClaimedTrial) else found) == self.model.expected_claim(worker)
        if isinstance(found, ClaimedTrial):
            self.known[worker] = found

    @rule(worker=WORKERS, step=st.integers(0, 3))
    def report(self, worker: str, step: int) -> None:
        """What a worker says of a trial that it lost is refused, now or when it would be written."""
        if worker not in self.known:
            return
        storage, trial_id = self.workers[worker].storage, self.known[worker].trial_id
        if self.model.runs.get(worker) == self.known[worker].number:
            storage.set_trial_intermediate_value(trial_id, step, 0.5)

    @rule(worker=WORKERS, state=ENDS)
    def end(self, worker: str, state: TrialState) -> None:
        """The worker may have lost its trial without knowing."""
        if worker not in self.known:
            return
        taken, model = self.known.pop(worker), self.model
        storage, values = self.workers[worker].storage, [0.5] if state is TrialState.COMPLETE else None
        if model.runs.get(worker) != taken.number:
            with pytest.raises((ClaimLost, UpdateFinishedTrialError)):
                storage.set_trial_state_values(taken.trial_id, state, values)
            return
        counts = state is TrialState.FAIL or model.used < model.target
        assert storage.set_trial_state_values(taken.trial_id, state, values) is counts
        if counts:
            model.end(worker, state.name)
        else:
            model.states[model.runs.pop(worker)] = "WAITING"

    @rule(worker=WORKERS)
    def release(self, worker: str) -> None:
        self.model.release(worker)
        self.workers[worker].claims.release(self.study, worker)

    @rule(worker=WORKERS)
    def kill(self, worker: str) -> None:
        """What it has not written is gone; its name comes back with another process."""
        self.workers[worker] = self.store.as_worker(worker)
        self.known.pop(worker, None)

    @rule(worker=WORKERS)
    def brought_down(self, worker: str) -> None:
        number = self.model.runs.get(worker)
        assert self.store.claims.fail_trials_of(self.study, worker, "OOM") == ([] if number is None else [number])
        if number is not None:
            self.model.end(worker, "FAIL")

    @rule(alive=st.sets(WORKERS))
    def reap(self, alive: set[str]) -> None:
        """No worker ever beats here, so that those not known to be alive are dead."""
        dead = [worker for worker in list(self.model.runs) if worker not in alive]
        expected = sorted(number for worker in dead for number in self.model.lose(worker))
        found = self.store.claims.requeue_stale(self.study, stale_after=timedelta(seconds=60), alive=sorted(alive))
        assert found == expected

    @rule(trials=st.integers(1, 8), failed=st.integers(1, 5))
    def change_budget(self, trials: int, failed: int) -> None:
        self.store.rounds.set_budget(self.name, Budget(trials=trials, failed_trials=failed))
        self.model.target, self.model.failed_allowed = trials, failed

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.store.rounds.set_paused(self.name, paused)
        self.model.paused = paused

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def the_store_agrees(self) -> None:
        found = self.store.readings.progress()[self.name]
        model = self.model
        assert found.counts == Counts(
            *(model.count(state) for state in ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"))
        )
        assert {w: s.used + s.failed for w, s in found.counts_by_worker.items() if s.used + s.failed} == +model.ended
        assert {w for w, s in found.counts_by_worker.items() if s.running} == set(model.runs)
        trials = self.store.load_study(self.name).get_trials(deepcopy=False)
        assert [trial.number for trial in trials] == list(range(len(trials)))
        assert [trial.state.name for trial in trials] == model.states
        assert all(trial.values == [0.5] for trial in trials if trial.state is TrialState.COMPLETE)

    def teardown(self) -> None:
        self.store.close()


class DisconnectingRound(Round):
    """On PostgreSQL, whose statements may be carried out without an answer, or not at all, and are sent again."""

    lose_answer = lose_statement = False

    @rule(answer=st.booleans())
    def disconnect(self, answer: bool) -> None:
        """The next statement's connection breaks, after the server carried it out or before."""
        DisconnectingRound.lose_answer, DisconnectingRound.lose_statement = answer, not answer

    @classmethod
    def send(cls, self: Connection, statement: str, parameters: Any) -> Any:
        lost, cls.lose_statement = cls.lose_statement, False
        rows = [] if lost else cls.once(self, statement, parameters)
        lost, cls.lose_answer = lost or cls.lose_answer, False
        if lost:
            self.losses += 1
            with translated():
                raise psycopg2.OperationalError("server closed the connection unexpectedly")
        return rows

    once = Connection.call_once


def test_sqlite_agrees_with_the_model(tmp_path: Path) -> None:
    _agrees(Round, f"sqlite:///{tmp_path / 'store.sqlite'}")


def test_redis_agrees_with_the_model(redis_url: str) -> None:
    _agrees(Round, redis_url)


def test_mariadb_agrees_with_the_model(mariadb_url: str) -> None:
    _agrees(Round, mariadb_url)


def test_postgresql_agrees_with_the_model_whatever_breaks(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "call_once", lambda *sent: DisconnectingRound.send(*sent))
    _agrees(DisconnectingRound, postgres_url)


def _agrees(machine: type[Round], url: str) -> None:
    machine.url = url
    schema.create(url)
    run_state_machine_as_test(machine, settings=BOUNDED)
