"""Who runs which trial: exact under any number of workers, on every kind of store."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from redis.client import Pipeline
from sqlalchemy import update

from builders import make_round
from tuning_store.exceptions import ClaimLost, StoreUnavailable, UnknownRound
from tuning_store.postgres.storage import PostgresStorage
from tuning_store.redis.round_state import RoundState
from tuning_store.redis.storage import RedisStorage
from tuning_store.redis.transactions import seen_key
from tuning_store.sql.storage import SqlStorage
from tuning_store.sql.tables import rounds as round_table
from tuning_store.sql.tables import workers
from tuning_store.store import Store, open_store
from tuning_store.values import ClaimedTrial
from tuning_study.api.budget import Budget
from tuning_study.budget import ClaimDecision, Counts, StopReason

from .conftest import StartRound, store_engine

STUDY = make_round().study
COMPLETE, PRUNED, FAIL, WAITING, RUNNING = (
    *(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL),
    *(TrialState.WAITING, TrialState.RUNNING),
)


def take(store: Store, study: int, worker: str = "w-0") -> ClaimedTrial:
    taken = store.as_worker(worker).claims.claim(study)
    assert isinstance(taken, ClaimedTrial), taken
    return taken


def finish(store: Store, taken: ClaimedTrial, worker: str = "w-0", state: TrialState = COMPLETE) -> bool:
    values = [0.5] if state is COMPLETE else None
    return store.as_worker(worker).storage.set_trial_state_values(taken.trial_id, state, values)


def lose_an_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server carries out what it is told next, and the connection breaks before it says so."""
    match store.storage:
        case PostgresStorage():
            place: tuple[object, str] = store.storage._connection, "call_once"
        case SqlStorage():
            place = store_engine(store).dialect, "do_commit"
        case RedisStorage():
            place = Pipeline, "execute"
    answering = getattr(*place)

    def lose(*arguments: object) -> None:
        monkeypatch.setattr(*place, answering)
        answering(*arguments)
        raise StoreUnavailable("the connection broke before the answer")

    monkeypatch.setattr(*place, lose)


def counts(store: Store) -> Counts:
    return store.readings.progress()[STUDY].counts


def trials(store: Store) -> list[optuna.trial.FrozenTrial]:
    return store.load_study(STUDY).get_trials(deepcopy=False)


class TestAClaim:
    def test_is_a_running_trial_with_the_next_number(self, store: Store, begin: StartRound) -> None:
        study = begin()
        taken = [take(store, study, f"w-{index}") for index in range(3)]
        assert [(one.number, one.taken, one.attempt) for one in taken] == [(0, 0, 1), (1, 1, 1), (2, 2, 1)]
        assert [trial.state for trial in trials(store)] == [RUNNING] * 3
        assert all(trial.datetime_start is not None for trial in trials(store))

    def test_of_a_trial_after_a_failed_one_is_in_the_same_phase(self, store: Store, begin: StartRound) -> None:
        study = begin(budget={"trials": 3, "failedTrials": 9})
        finish(store, take(store, study), state=FAIL)
        finish(store, take(store, study))
        assert take(store, study).taken == 1

    def test_takes_the_oldest_trial_that_waits_before_a_new_one(self, store: Store, begin: StartRound) -> None:
        study = begin(points=({"x": 0.1}, {"x": 0.2}))
        taken = [take(store, study, f"w-{index}") for index in range(3)]
        fixed = [trial.system_attrs.get("fixed_params") for trial in trials(store)]
        assert [one.number for one in taken] == [0, 1, 2]
        assert fixed == [{"x": 0.1}, {"x": 0.2}, None]

    def test_waits_while_those_that_run_may_use_up_the_budget(self, store: Store, begin: StartRound) -> None:
        study = begin(budget={"trials": 2})
        first, _ = take(store, study), take(store, study, "w-1")
        assert store.as_worker("w-2").claims.claim(study) is ClaimDecision.WAIT
        finish(store, first, state=FAIL)
        assert isinstance(store.as_worker("w-2").claims.claim(study), ClaimedTrial)

    def test_of_a_worker_that_still_has_a_trial_is_that_trial_again(self, store: Store, begin: StartRound) -> None:
        """The answer to its first claim was lost, or the worker was restarted under its name."""
        study = begin(budget={"trials": 1})
        first, again = take(store, study), take(store, study)
        assert (again.trial_id, again.attempt) == (first.trial_id, 2)
        assert counts(store) == Counts(running=1)

    def test_is_over_when_the_budget_is_used(self, store: Store, begin: StartRound) -> None:
        study = begin(budget={"trials": 2})
        finish(store, take(store, study))
        finish(store, take(store, study), state=PRUNED)
        assert store.as_worker("w-0").claims.claim(study) is ClaimDecision.OVER
        assert store.as_worker("w-0").claims.record_heartbeat(study) is StopReason.BUDGET_USED

    def test_is_over_at_the_failure_budget(self, store: Store, begin: StartRound) -> None:
        study = begin(budget={"trials": 9, "failedTrials": 1})
        finish(store, take(store, study), state=FAIL)
        assert store.as_worker("w-0").claims.claim(study) is ClaimDecision.OVER

    def test_of_a_round_that_is_gone_is_an_error(self, store: Store) -> None:
        with pytest.raises(UnknownRound):
            store.as_worker("w-0").claims.claim(99)
        with pytest.raises(UnknownRound):
            store.as_worker("w-0").claims.record_heartbeat(99)


class TestAnEnd:
    @pytest.mark.parametrize(
        ("state", "counted"), [(COMPLETE, {"complete": 1}), (PRUNED, {"pruned": 1}), (FAIL, {"failed": 1})]
    )
    def test_is_stored_with_its_values_and_time(
        self, store: Store, begin: StartRound, state: TrialState, counted: dict[str, int]
    ) -> None:
        assert finish(store, take(store, begin()), state=state)
        assert counts(store) == Counts(**counted)
        (trial,) = trials(store)
        assert trial.values == ([0.5] if state is COMPLETE else None)
        assert trial.datetime_complete is not None

    def test_by_a_worker_that_lost_the_trial_is_refused_and_changes_nothing(
        self, store: Store, begin: StartRound
    ) -> None:
        study = begin()
        taken = take(store, study)
        store.claims.release(study, "w-0")
        with pytest.raises(ClaimLost):
            finish(store, taken)
        again = take(store, study, "w-1")
        assert (again.trial_id, again.number, again.attempt) == (taken.trial_id, taken.number, 1)
        with pytest.raises(ClaimLost):
            finish(store, taken)
        assert counts(store) == Counts(running=1)
        assert finish(store, again, "w-1")

    def test_whose_answer_is_lost_is_still_the_workers_own(
        self, store: Store, begin: StartRound, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mine = store.as_worker("w-0")
        taken = mine.claims.claim(begin())
        assert isinstance(taken, ClaimedTrial)
        lose_an_answer(store, monkeypatch)
        assert mine.storage.set_trial_state_values(taken.trial_id, COMPLETE, [0.5])
        assert counts(store) == Counts(complete=1)

    def test_twice_is_refused(self, store: Store, begin: StartRound) -> None:
        taken = take(store, begin())
        finish(store, taken)
        with pytest.raises(UpdateFinishedTrialError):
            finish(store, taken, state=FAIL)
        assert counts(store) == Counts(complete=1)

    @pytest.mark.parametrize("state", [COMPLETE, PRUNED])
    def test_past_a_lowered_budget_turns_the_trial_into_a_waiting_one(
        self, store: Store, begin: StartRound, state: TrialState
    ) -> None:
        study = begin(budget={"trials": 3})
        first, late = take(store, study), take(store, study, "late")
        finish(store, first)
        store.rounds.set_budget(STUDY, Budget(trials=1))
        assert finish(store, late, "late", state) is False
        assert counts(store) == Counts(complete=1, waiting=1)
        assert trials(store)[1].values is None
        store.rounds.set_budget(STUDY, Budget(trials=3))
        assert take(store, study, "w-1").number == late.number

    def test_as_a_failure_counts_however_low_the_budget(self, store: Store, begin: StartRound) -> None:
        study = begin(budget={"trials": 3})
        first, late = take(store, study), take(store, study, "late")
        finish(store, first)
        store.rounds.set_budget(STUDY, Budget(trials=1))
        assert finish(store, late, "late", FAIL)

    @pytest.mark.parametrize("value", [float("inf"), float("-inf")])
    def test_may_have_an_infinite_value(self, store: Store, begin: StartRound, value: float) -> None:
        taken = take(store, begin())
        store.as_worker("w-0").storage.set_trial_state_values(taken.trial_id, COMPLETE, [value])
        assert trials(store)[0].values == [value]

    def test_told_through_optuna_obeys_the_claim(self, store: Store, store_url: str, begin: StartRound) -> None:
        study = begin()
        mine = open_store(store_url, worker="w-0")
        taken = take(mine, study)
        loaded = mine.load_study(STUDY)
        loaded.get_trials()
        store.claims.release(study, "w-0")
        take(store, study, "w-1")
        with pytest.raises(ClaimLost):
            mine.storage.set_trial_state_values(taken.trial_id, COMPLETE, [1.0])
        mine.close()
        assert counts(store) == Counts(running=1)


class TestATrialThatAnObjectiveAsksFor:
    """By `trial.study.ask()`, through its worker's store."""

    def test_is_told_as_any_other(self, store: Store, store_url: str, begin: StartRound) -> None:
        study = begin()
        with closing(open_store(store_url, worker="w-0")) as mine:
            take(mine, study)
            loaded = mine.load_study(STUDY)
            loaded.tell(loaded.ask(), 0.5)
        assert counts(store) == Counts(complete=1, running=1)

    def test_and_forgets_is_run_next(self, store: Store, store_url: str, begin: StartRound) -> None:
        study = begin(budget={"trials": 2})
        with closing(open_store(store_url, worker="w-0")) as mine:
            taken = take(mine, study)
            asked = mine.load_study(STUDY).ask()
            finish(store, taken)
            assert take(mine, study).number == asked.number
        assert counts(store) == Counts(complete=1, running=1)

    def test_is_left_to_others_when_its_worker_is_lost(self, store: Store, store_url: str, begin: StartRound) -> None:
        study = begin()
        with closing(open_store(store_url, worker="w-0")) as mine:
            take(mine, study)
            mine.load_study(STUDY).ask()
        assert store.claims.release(study, "w-0") == [0, 1]
        assert counts(store) == Counts(waiting=2)


class TestALostWorker:
    def go_silent(self, store: Store, worker: str, seconds: float) -> None:
        if isinstance(store.storage, RedisStorage):
            key = seen_key(store.rounds.find(STUDY))
            told = store.storage.redis.hget(key, worker)
            assert isinstance(told, bytes)
            seen = datetime.fromisoformat(told.decode())
            store.storage.redis.hset(key, worker, (seen - timedelta(seconds=seconds)).isoformat())
            return
        with store_engine(store).begin() as connection:
            seen = connection.execute(workers.select().where(workers.c.worker == worker)).one().seen_at
            earlier = seen - timedelta(seconds=seconds)
            connection.execute(update(workers).where(workers.c.worker == worker).values(seen_at=earlier))

    def test_gives_back_all_it_ran_and_nothing_else(self, store: Store, begin: StartRound) -> None:
        study = begin()
        finish(store, take(store, study))
        mine, others = take(store, study), take(store, study, "w-1")
        assert store.claims.release(study, "w-0") == [mine.number]
        assert store.claims.release(study, "w-0") == []
        assert counts(store) == Counts(complete=1, running=1, waiting=1)
        assert finish(store, others, "w-1")

    def test_is_found_by_its_silence(self, store: Store, begin: StartRound) -> None:
        study = begin()
        for worker in ("dead", "alive", "known"):
            store.as_worker(worker).claims.record_heartbeat(study)
            take(store, study, worker)
        take(store, study, "never-seen")
        self.go_silent(store, "dead", 100)
        self.go_silent(store, "known", 100)
        silent = timedelta(seconds=60)
        assert store.claims.requeue_stale(study, stale_after=silent, alive=["known"]) == [0, 3]
        assert store.claims.requeue_stale(study, stale_after=silent, alive=["known"]) == []
        assert counts(store) == Counts(running=2, waiting=2)

    def test_that_beats_again_is_alive(self, store: Store, begin: StartRound) -> None:
        study = begin()
        store.as_worker("w-0").claims.record_heartbeat(study)
        take(store, study)
        self.go_silent(store, "w-0", 100)
        assert store.as_worker("w-0").claims.record_heartbeat(study) is None
        assert store.claims.requeue_stale(study, stale_after=timedelta(seconds=60)) == []

    def test_keeps_the_parameters_of_its_trial_for_the_next(
        self, store: Store, store_url: str, begin: StartRound
    ) -> None:
        study = begin()
        drawn = []
        for worker in ("w-0", "w-1"):
            mine = open_store(store_url, worker=worker)
            taken = take(mine, study, worker)
            loaded = mine.load_study(STUDY)
            loaded.get_trials(deepcopy=False)
            drawn.append(optuna.Trial(loaded, taken.trial_id).suggest_float("x", 0, 1))
            mine.claims.release(study, worker)
            mine.close()
        assert drawn[0] == drawn[1]

    def test_that_a_trial_brought_down_fails_the_trial_with_the_reason(self, store: Store, begin: StartRound) -> None:
        study = begin()
        take(store, study)
        reason = 'OOMKilled: "raise" the limit'
        assert store.claims.fail_trials_of(study, "w-0", reason) == [0]
        assert store.claims.fail_trials_of(study, "w-0", reason) == []
        assert store.readings.failures(STUDY) == [(reason, 1)]
        assert counts(store) == Counts(failed=1)


class TestTheRoundAsAWhole:
    def test_stops_for_all_workers_with_the_first_reason(self, store: Store, begin: StartRound) -> None:
        study = begin()
        running = take(store, study)
        store.claims.stop(study, StopReason.GOAL_REACHED, "trial 0 reached it")
        store.claims.stop(study, StopReason.REJECTED, "too late")
        assert store.as_worker("w-1").claims.claim(study) is ClaimDecision.OVER
        assert store.as_worker("w-1").claims.record_heartbeat(study) is StopReason.GOAL_REACHED
        assert store.readings.progress()[STUDY].detail == "trial 0 reached it"
        assert finish(store, running), "a result within the budget still counts"

    def test_takes_no_trials_while_it_is_paused(self, store: Store, begin: StartRound) -> None:
        study = begin()
        running = take(store, study)
        store.rounds.set_paused(STUDY, True)
        store.rounds.set_paused(STUDY, True)
        assert store.as_worker("w-1").claims.claim(study) is ClaimDecision.WAIT
        assert finish(store, running)
        store.rounds.set_paused(STUDY, False)
        assert isinstance(store.as_worker("w-0").claims.claim(study), ClaimedTrial)

    def test_ends_when_its_time_is_used(self, store: Store, begin: StartRound) -> None:
        study = begin(budget={"duration": "1h"})
        assert isinstance(store.as_worker("w-0").claims.claim(study), ClaimedTrial)
        self.move_start(store, hours=-1)
        assert store.as_worker("w-0").claims.claim(study) is ClaimDecision.OVER
        assert store.as_worker("w-0").claims.record_heartbeat(study) is StopReason.DURATION_USED

    def test_time_in_a_pause_does_not_count(self, store: Store, begin: StartRound) -> None:
        study = begin(budget={"duration": "1h"})
        assert isinstance(store.as_worker("w-0").claims.claim(study), ClaimedTrial)
        store.rounds.set_paused(STUDY, True)
        self.move_start(store, hours=-2, paused=True)
        assert store.as_worker("w-0").claims.record_heartbeat(study) is None
        store.rounds.set_paused(STUDY, False)
        assert store.as_worker("w-0").claims.record_heartbeat(study) is None
        self.move_start(store, hours=-1)
        assert store.as_worker("w-0").claims.record_heartbeat(study) is StopReason.DURATION_USED

    def test_time_before_the_first_trial_does_not_count(self, store: Store, begin: StartRound) -> None:
        study = begin(budget={"duration": "1s"})
        if isinstance(store.storage, RedisStorage):
            store.storage.transact(study, lambda transaction: move(transaction.round, ["started_at"], hours=-1))
        else:
            with store_engine(store).begin() as connection:
                made = connection.execute(round_table.select()).one().started_at
                connection.execute(update(round_table).values(started_at=made - timedelta(hours=1)))
        assert isinstance(store.as_worker("w-0").claims.claim(study), ClaimedTrial)

    def move_start(self, store: Store, hours: int, paused: bool = False) -> None:
        names = ["first_claim_at", *(["paused_at"] if paused else [])]
        if isinstance(store.storage, RedisStorage):
            store.storage.transact(store.rounds.find(STUDY), lambda transaction: move(transaction.round, names, hours))
            return
        with store_engine(store).begin() as connection:
            row = connection.execute(round_table.select()).one()
            moved = {name: getattr(row, name) + timedelta(hours=hours) for name in names}
            connection.execute(update(round_table).values(**moved))


def move(round: RoundState, names: list[str], hours: int) -> None:
    for name in names:
        setattr(round, name, getattr(round, name) + timedelta(hours=hours))


def _work(url: str, study: int, worker: str) -> Counter[str]:
    """A worker of whose trials every seventh fails, every eleventh is pruned; it gives every thirteenth back once."""
    store = open_store(url, worker=worker)
    done: Counter[str] = Counter()
    given: set[int] = set()
    idle, deadline = threading.Event(), time.monotonic() + 60
    try:
        while (taken := store.claims.claim(study)) is not ClaimDecision.OVER:
            if not isinstance(taken, ClaimedTrial):
                assert time.monotonic() < deadline, "the round is not over, and has no trial for anybody"
                idle.wait(0.005)
            elif taken.number % 13 == 5 and taken.number not in given:
                given.add(taken.number)
                store.claims.release(study, worker)
            elif taken.number % 7 == 3:
                store.storage.set_trial_state_values(taken.trial_id, FAIL)
                done["failed"] += 1
            elif taken.number % 11 == 2:
                store.storage.set_trial_state_values(taken.trial_id, PRUNED)
                done["used"] += 1
            else:
                store.storage.set_trial_state_values(taken.trial_id, COMPLETE, [taken.number])
                done["used"] += 1
    finally:
        store.close()
    return done


def test_eight_workers_use_a_budget_of_200_exactly(store: Store, store_url: str, begin: StartRound) -> None:
    study = begin(budget={"trials": 200, "failedTrials": 1000})
    with ThreadPoolExecutor(8) as pool:
        shares = list(pool.map(lambda index: _work(store_url, study, f"w-{index}"), range(8)))
    done = sum(shares, Counter[str]())
    now = store.readings.progress()[STUDY]
    assert done["used"] == now.counts.used == 200
    assert now.counts == Counts(
        complete=now.counts.complete, pruned=now.counts.pruned, failed=done["failed"], running=0, waiting=0
    )
    assert [trial.number for trial in trials(store)] == list(range(200 + done["failed"]))
    assert all(trial.values == [trial.number] for trial in trials(store) if trial.state is COMPLETE)
    assert {worker: share.used for worker, share in now.counts_by_worker.items() if share.used} == {
        f"w-{index}": share["used"] for index, share in enumerate(shares) if share["used"]
    }
