"""What our PostgreSQL storage promises beyond Optuna's interface."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, text

from builders import make_round
from tuning_store import schema, tenants
from tuning_store.exceptions import ClaimLost
from tuning_store.postgres.connection import Connection
from tuning_store.postgres.storage import PostgresStorage
from tuning_store.store import open_storage, open_store
from tuning_store.urls import driver_url
from tuning_store.values import ClaimedTrial
from tuning_study.budget import Counts

from .conftest import start_round

UNIT = FloatDistribution(0, 1)


@pytest.fixture
def storage(postgres_url: str) -> Iterator[PostgresStorage]:
    opened = open_storage(postgres_url)
    assert isinstance(opened, PostgresStorage)
    yield opened
    opened.close()


@pytest.fixture
def plain(postgres_url: str, storage: PostgresStorage) -> optuna.storages.RDBStorage:
    """Optuna's own storage on the same tables, as optuna-dashboard and other people's workers use it."""
    return optuna.storages.RDBStorage(driver_url(postgres_url))


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that goes through a Connection, in order."""
    sent: list[str] = []
    once = Connection.call_once

    def recorded(self: Connection, statement: str, parameters: Any) -> Any:
        sent.append(statement)
        return once(self, statement, parameters)

    monkeypatch.setattr(Connection, "call_once", recorded)
    return sent


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Seconds until the condition holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - began


class TestRoundTrips:
    def test_of_a_random_trial_with_reports_are_two(
        self, postgres_url: str, storage: PostgresStorage, statements: list[str]
    ) -> None:
        store = open_store(postgres_url)
        study_id = start_round(store, make_round())
        worker = store.as_worker("w-0")
        study = worker.load_study(make_round().study)
        study.sampler = optuna.samplers.RandomSampler()
        for _ in range(2):  # the first asks once for each parameter that it does not know
            statements.clear()
            taken = worker.claims.claim(study_id)
            assert isinstance(taken, ClaimedTrial)
            trial = optuna.Trial(study, taken.trial_id)
            for name in ("x", "y"):
                trial.suggest_float(name, 0, 1)
            trial.report(0.5, 1)
            trial.set_user_attr("note", "kept")
            study.tell(trial, 0.5)
        assert [statement.split("(")[0].split()[-1] for statement in statements] == [
            "tuning_claim_v1",
            "tuning_finish_v1",
        ]
        store.close()

    def test_of_reading_again_bring_only_what_is_new(self, storage: PostgresStorage, plain: Any) -> None:
        study = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE])
        for _ in range(3):
            storage.set_trial_state_values(storage.create_new_trial(study), TrialState.COMPLETE, [1.0])
        first = storage.get_all_trials(study, deepcopy=False)
        plain.create_new_trial(study)
        again = storage.get_all_trials(study, deepcopy=False)
        assert len(again) == 4
        assert all(before is after for before, after in zip(first, again, strict=False))


class TestBufferedChanges:
    def test_are_seen_at_once_in_this_process_and_within_two_seconds_elsewhere(
        self, storage: PostgresStorage, plain: Any
    ) -> None:
        study = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE])
        trial = storage.create_new_trial(study)
        storage.set_trial_param(trial, "x", 0.5, UNIT)
        storage.set_trial_intermediate_value(trial, 1, 0.25)
        storage.set_trial_user_attr(trial, "note", "kept")
        (mine,) = storage.get_all_trials(study)
        assert (mine.params, mine.intermediate_values, mine.user_attrs) == ({"x": 0.5}, {1: 0.25}, {"note": "kept"})
        assert plain.get_trial(trial).params == {}
        until(lambda: plain.get_trial(trial).params == {"x": 0.5}, seconds=2)
        theirs = plain.get_trial(trial)
        assert (theirs.intermediate_values, theirs.user_attrs) == ({1: 0.25}, {"note": "kept"})

    def test_are_written_with_the_end(self, storage: PostgresStorage, plain: Any) -> None:
        study = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE])
        trial = storage.create_new_trial(study)
        storage.set_trial_param(trial, "x", 0.5, UNIT)
        storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
        stored = plain.get_trial(trial)
        assert (stored.params, stored.values, stored.state) == ({"x": 0.5}, [1.0], TrialState.COMPLETE)

    def test_of_a_trial_that_ended_elsewhere_are_not_written(self, storage: PostgresStorage, plain: Any) -> None:
        study = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE])
        trial = storage.create_new_trial(study)
        storage.set_trial_param(trial, "x", 0.5, UNIT)
        plain.set_trial_state_values(trial, TrialState.FAIL)
        with pytest.raises(UpdateFinishedTrialError):
            storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
        assert plain.get_trial(trial).params == {}

    def test_of_a_trial_that_another_worker_has_now_are_not_written(self, postgres_url: str) -> None:
        schema.create(postgres_url)
        store = open_store(postgres_url)
        study = start_round(store, make_round())
        first, second = store.as_worker("w-0"), store.as_worker("w-1")
        taken = first.claims.claim(study)
        assert isinstance(taken, ClaimedTrial)
        first.storage.set_trial_intermediate_value(taken.trial_id, 1, 0.1)
        store.claims.release(study, "w-0")
        second.claims.claim(study)
        with pytest.raises(ClaimLost):
            first.storage.set_trial_state_values(taken.trial_id, TrialState.COMPLETE, [1.0])
        assert isinstance(first.storage, PostgresStorage)
        first.storage.flush()
        assert second.storage.get_trial(taken.trial_id).intermediate_values == {}
        store.close()

    def test_go_with_a_trial_that_is_given_back(self, postgres_url: str) -> None:
        schema.create(postgres_url)
        store = open_store(postgres_url)
        study = start_round(store, make_round())
        first, second = store.as_worker("w-0"), store.as_worker("w-1")
        taken = first.claims.claim(study)
        assert isinstance(taken, ClaimedTrial)
        first.storage.set_trial_param(taken.trial_id, "x", 0.5, UNIT)
        first.claims.release(study, "w-0")
        assert second.claims.claim(study) == taken
        assert second.storage.get_trial(taken.trial_id).params == {"x": 0.5}
        store.close()

    @pytest.mark.parametrize("name", ["a\x00b", "a\ud800b", "x" * 513])
    def test_whose_name_the_server_would_refuse_are_refused_at_once(self, storage: PostgresStorage, name: str) -> None:
        trial = storage.create_new_trial(storage.create_new_study([optuna.study.StudyDirection.MINIMIZE]))
        with pytest.raises(ValueError, match=r"NUL|no text|at most 512"):
            storage.set_trial_user_attr(trial, name, 1)


class TestPlainOptuna:
    def test_and_ours_share_a_study(self, storage: PostgresStorage, plain: Any) -> None:
        ours = optuna.create_study(storage=storage, study_name="shared")
        theirs = optuna.load_study(storage=optuna.storages.get_storage(plain), study_name="shared")
        for _ in range(5):
            ours.optimize(_sphere, n_trials=3)
            theirs.optimize(_sphere, n_trials=2)
        for study in (ours, theirs):
            assert [trial.number for trial in study.trials] == list(range(25))
            assert study.best_value == min(trial.value for trial in study.trials if trial.value is not None)
        assert [_comparable(trial) for trial in ours.trials] == [_comparable(trial) for trial in theirs.trials]

    def test_trials_count_against_a_budget(self, postgres_url: str, storage: PostgresStorage, plain: Any) -> None:
        store, resolved = open_store(postgres_url), make_round(budget={"trials": 3})
        study_id = start_round(store, resolved)
        optuna.load_study(storage=plain, study_name=resolved.study).optimize(_sphere, n_trials=2)
        worker = store.as_worker("w-0")
        taken = worker.claims.claim(study_id)
        assert isinstance(taken, ClaimedTrial)
        assert taken.number == 2
        worker.storage.set_trial_state_values(taken.trial_id, TrialState.COMPLETE, [1.0])
        assert store.readings.progress()[resolved.study].counts == Counts(complete=3)
        assert worker.claims.claim(study_id) == "Over"
        store.close()

    def test_history_of_before_is_counted(self, postgres_url: str) -> None:
        """The tables were Optuna's alone until now."""
        before = optuna.create_study(storage=driver_url(postgres_url), study_name=make_round().study)
        before.optimize(_sphere, n_trials=3)
        schema.create(postgres_url)
        store = open_store(postgres_url)
        start_round(store, make_round())
        assert store.readings.progress()[make_round().study].counts == Counts(complete=3)
        store.close()

    def test_may_delete_a_study(self, storage: PostgresStorage, plain: Any, postgres_url: str) -> None:
        study = optuna.create_study(storage=storage, study_name="gone")
        study.optimize(_sphere, n_trials=2)
        optuna.delete_study(storage=plain, study_name="gone")
        assert _rows(postgres_url, "tuning_shares") == 0


def test_a_login_that_may_not_make_tables_opens_what_is_there(postgres_url: str) -> None:
    tenant = tenants.tenant_of("team", "cluster")
    tenants.create(postgres_url, tenant)
    storage = open_storage(tenants.create_role(postgres_url, tenant))
    study = optuna.create_study(storage=storage)
    study.optimize(_sphere, n_trials=3)
    assert len(study.trials) == 3
    storage.close()  # type: ignore[attr-defined]


class TestConnections:
    def test_that_break_are_replaced_and_all_is_read_anew(self, storage: PostgresStorage, postgres_url: str) -> None:
        study = optuna.create_study(storage=storage)
        study.optimize(_sphere, n_trials=2)
        _end_sessions(postgres_url)
        study.optimize(_sphere, n_trials=2)
        assert [trial.number for trial in study.trials] == [0, 1, 2, 3]

    def test_of_a_worker_are_one(self, postgres_url: str) -> None:
        schema.create(postgres_url)
        store = open_store(postgres_url)
        study = start_round(store, make_round())
        store.close()
        worker = open_store(postgres_url, worker="w-0")
        worker.load_study(make_round().study).get_trials()
        for _ in range(3):
            taken = worker.claims.claim(study)
            assert isinstance(taken, ClaimedTrial)
            worker.claims.record_heartbeat(study)
            worker.storage.set_trial_state_values(taken.trial_id, TrialState.COMPLETE, [1.0])
        assert _sessions(postgres_url) == 1
        worker.close()
        assert _sessions(postgres_url) == 0

    def test_a_lost_answer_to_a_claim_does_not_matter(self, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        schema.create(postgres_url)
        store = open_store(postgres_url)
        study = start_round(store, make_round())
        _lose_first_answer(monkeypatch, "tuning_claim_v1")
        taken = store.as_worker("w-0").claims.claim(study)
        assert isinstance(taken, ClaimedTrial)
        assert store.readings.progress()[make_round().study].counts == Counts(running=1)
        store.close()


def test_eight_processes_number_their_trials_without_gap_or_double(storage: PostgresStorage, postgres_url: str) -> None:
    optuna.create_study(storage=storage, study_name="crowd")
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(8, mp_context=context) as pool:
        assert sum(pool.map(_optimize, [(postgres_url, "crowd")] * 8)) == 8 * 20
    trials = optuna.load_study(storage=storage, study_name="crowd").trials
    assert [trial.number for trial in trials] == list(range(160))
    assert all(trial.values and set(trial.params) == {"x", "k"} for trial in trials)


def test_a_stale_heartbeat_fails_its_trial(postgres_url: str) -> None:
    storage = open_storage(postgres_url, heartbeat_interval=60, grace_period=120)
    assert isinstance(storage, PostgresStorage)
    study = optuna.create_study(storage=storage)
    trial = storage.create_new_trial(study._study_id)
    storage.record_heartbeat(trial)
    assert storage._get_stale_trial_ids(study._study_id) == []
    with create_engine(driver_url(postgres_url)).begin() as connection:
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '1 hour'"))
    study.optimize(_sphere, n_trials=1)
    assert [found.state for found in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    storage.close()


def test_the_trials_of_a_state_stand_by_number_whichever_ended_first(storage: PostgresStorage) -> None:
    study = optuna.create_study(storage=storage)
    first, second, third = (study.ask() for _ in range(3))
    study.tell(third, 3.0)
    assert [trial.number for trial in study.get_trials(states=(TrialState.COMPLETE,))] == [2]
    study.tell(second, state=TrialState.FAIL)
    study.tell(first, 1.0)
    assert [trial.number for trial in study.get_trials(states=(TrialState.COMPLETE,))] == [0, 2]
    assert [trial.number for trial in study.get_trials(states=(TrialState.COMPLETE, TrialState.FAIL))] == [0, 1, 2]


@pytest.mark.parametrize("choices", [(1, 0), (True, False), (1.0, 0.0), ("1", None)])
def test_choices_keep_their_types(storage: PostgresStorage, plain: Any, choices: Any) -> None:
    study = optuna.create_study(storage=storage)
    study.optimize(lambda trial: float(bool(trial.suggest_categorical("k", choices))), n_trials=1)
    stored = plain.get_all_trials(study._study_id)[0].distributions["k"]
    assert isinstance(stored, CategoricalDistribution)
    assert [type(choice) for choice in stored.choices] == [type(choice) for choice in choices]


def test_a_float_that_is_whole_is_a_float(storage: PostgresStorage) -> None:
    study = optuna.create_study(storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 1, 2, step=1) + trial.suggest_int("n", 1, 2), n_trials=1)
    study.add_trial(study.trials[0])
    for trial in optuna.load_study(study_name=study.study_name, storage=storage).trials:
        assert {name: type(value) for name, value in trial.params.items()} == {"x": float, "n": int}


def _sphere(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 0, 1) ** 2 + len(trial.suggest_categorical("k", ["", "a"]))


def _optimize(where: tuple[str, str]) -> int:
    url, name = where
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    optuna.load_study(storage=open_storage(url), study_name=name).optimize(_sphere, n_trials=20)
    return 20


def _comparable(trial: FrozenTrial) -> Any:
    times = trial.datetime_start, trial.datetime_complete
    return trial.number, trial.state, trial.values, trial.params, trial.distributions, trial.user_attrs, times


def _lose_first_answer(monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """The server carries the first such statement out, and the connection breaks before it says so."""
    import psycopg2

    from tuning_store.exceptions import translated

    once = Connection.call_once
    lost: list[str] = []

    def lose(self: Connection, sent: str, parameters: Any) -> Any:
        rows = once(self, sent, parameters)
        if statement in sent and not lost:
            lost.append(sent)
            with translated():
                raise psycopg2.OperationalError("server closed the connection unexpectedly")
        return rows

    monkeypatch.setattr(Connection, "call_once", lose)


def _rows(url: str, table: str) -> int:
    engine = create_engine(driver_url(url))
    with engine.connect() as connection:
        number: int = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
    engine.dispose()
    return number


_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def _sessions(url: str) -> int:
    engine = create_engine(driver_url(url))
    with engine.connect() as connection:
        number: int = connection.execute(text(f"SELECT count(*) {_OTHERS}")).scalar_one()
    engine.dispose()
    return number


def _end_sessions(url: str) -> None:
    engine = create_engine(driver_url(url))
    with engine.connect() as connection:
        connection.execute(text(f"SELECT pg_terminate_backend(pid) {_OTHERS}"))
    engine.dispose()
