"""A round in the store: begun once, changed in flight, and gone without a trace."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from threading import Barrier

import pytest
from optuna.study._frozen import FrozenStudy
from sqlalchemy import MetaData, create_engine, func, select, text

from builders import MAXIMIZE, MINIMIZE, make_round
from tuning_store import rounds, schema
from tuning_store.exceptions import UnknownRound
from tuning_store.redis.storage import RedisStorage
from tuning_store.sql.tables import studies as studies_table
from tuning_store.store import Store, open_store
from tuning_store.values import ClaimedTrial
from tuning_study.api.budget import Budget
from tuning_study.attributes import ROUND_ATTRIBUTE
from tuning_study.budget import Counts, StopReason
from tuning_study.round import ResolvedRound
from tuning_study.search.space import Point

from .conftest import StartRound, start_round, store_engine

STUDY = make_round().study
_WAITS_FOR_A_LOCK = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


def rows(store: Store) -> dict[str, int]:
    """How many rows each table holds, but for those of versions; of a Redis, what its journal and our keys say."""
    if isinstance(store.storage, RedisStorage):
        held = {study.study_name: len(store.storage.get_all_trials(study._study_id)) for study in studies(store)}
        return held | {"keys": len(set(store.storage.redis.keys("tuning:*")) - {b"tuning:format"})}
    metadata = MetaData()
    metadata.reflect(store_engine(store))
    with store_engine(store).connect() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
            if name not in ("alembic_version", "version_info", "tuning_migrations")
        }


def studies(store: Store) -> list[FrozenStudy]:
    return store.storage.get_all_studies()


def test_a_round_is_an_optuna_study_that_explains_itself(store: Store) -> None:
    resolved = make_round(metrics=[MAXIMIZE, {"name": "recorded"}, MINIMIZE])
    start_round(store, resolved)
    study = store.load_study(resolved.study)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy", "latencyMs"]
    assert ResolvedRound.model_validate(study.user_attrs[ROUND_ATTRIBUTE]) == resolved


def test_starting_again_changes_nothing(store: Store, begin: StartRound) -> None:
    first = begin(points=({"x": 0.1},), budget={"trials": 3})
    before = rows(store)
    assert begin(points=({"x": 0.1},), budget={"trials": 99}) == first
    assert rows(store) == before
    assert store.readings.progress()[STUDY].limits.trials == 3


def test_two_operators_that_start_a_round_at_the_same_moment_start_it_once(store: Store, store_url: str) -> None:
    """As when one takes over while the other still acts."""
    points: tuple[Point, ...] = ({"x": 0.1}, {"x": 0.2})
    both, other = Barrier(2), open_store(store_url)

    def begin(own: Store, resolved: ResolvedRound) -> int:
        both.wait(60)
        return start_round(own, resolved, points=points)

    with ThreadPoolExecutor(2) as operators:
        for number in range(1, 21):
            resolved = make_round(number=number)
            first, second = operators.map(begin, (store, other), (resolved, resolved))
            assert first == second == store.rounds.find(resolved.study)
            trials = store.load_study(resolved.study).get_trials()
            assert [trial.system_attrs["fixed_params"] for trial in trials] == list(points)
    other.close()


def test_a_start_that_was_cut_off_is_made_whole_by_the_next(
    store: Store, begin: StartRound, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = ({"x": 0.1}, {"x": 0.2})

    def killed(*_: object) -> None:
        raise RuntimeError("the operator was killed")

    with monkeypatch.context() as cut:
        cut.setattr(type(store.rounds), "add", killed)
        with pytest.raises(RuntimeError):
            begin(points=points)
    with pytest.raises(UnknownRound):
        store.rounds.find(STUDY)
    study = begin(points=points)
    assert store.rounds.find(STUDY) == study
    assert store.readings.progress()[STUDY].counts == Counts(waiting=2)


def test_given_points_wait_in_their_order_and_equal_ones_once(store: Store, begin: StartRound) -> None:
    begin(points=({"x": 0.1}, {"x": 0.2}, {"x": 0.1}))
    trials = store.load_study(STUDY).get_trials()
    assert [trial.system_attrs["fixed_params"] for trial in trials] == [{"x": 0.1}, {"x": 0.2}]


@pytest.mark.parametrize(
    ("budget", "trials", "failed", "duration"),
    [
        (Budget(trials=5), 5, 20, None),
        (Budget(trials=50, failed_trials=3), 50, 3, None),
        (Budget(duration=timedelta(minutes=90)), None, 20, 5400.0),
    ],
)
def test_a_budget_may_change_in_flight(
    store: Store, begin: StartRound, budget: Budget, trials: int | None, failed: int, duration: float | None
) -> None:
    begin()
    store.rounds.set_budget(STUDY, budget)
    found = store.readings.progress()[STUDY]
    assert (found.limits.trials, found.limits.failed_trials, found.duration) == (trials, failed, duration)


def test_a_budget_changes_after_the_results_that_are_being_written(postgres_url: str) -> None:
    schema.create(postgres_url)
    with closing(open_store(postgres_url)) as store, ThreadPoolExecutor(1) as operator:
        start_round(store, make_round())
        with store_engine(store).begin() as worker:
            worker.execute(select(studies_table).with_for_update())
            changed = operator.submit(store.rounds.set_budget, STUDY, Budget(trials=1))
            watcher = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
            with watcher.connect() as watching:
                while not watching.execute(text(_WAITS_FOR_A_LOCK)).scalar_one() and not changed.done():
                    time.sleep(0.02)
            watcher.dispose()
            assert not changed.done()
        changed.result(30)
        assert store.readings.progress()[STUDY].limits.trials == 1


def test_a_change_of_one_round_leaves_the_others(store: Store) -> None:
    first, second = make_round(number=1), make_round(number=2)
    for resolved in (first, second):
        start_round(store, resolved)
    store.rounds.set_budget(first.study, Budget(trials=1))
    store.rounds.set_paused(first.study, True)
    store.rounds.set_retain(first.study, True)
    found = store.readings.progress()[second.study]
    assert (found.limits.trials, found.limits.paused, found.retain) == (10, False, False)


def test_retention_may_change_in_flight(store: Store, begin: StartRound) -> None:
    begin(retain=True)
    assert store.readings.progress()[STUDY].retain
    store.rounds.set_retain(STUDY, False)
    assert not store.readings.progress()[STUDY].retain


def test_a_dropped_round_leaves_no_row_in_any_table_and_its_neighbour_all(store: Store) -> None:
    def live(resolved: ResolvedRound) -> None:
        study = start_round(store, resolved, points=({"x": 0.1},))
        store.as_worker("w-0").claims.record_heartbeat(study)
        taken = store.as_worker("w-0").claims.claim(study)
        assert isinstance(taken, ClaimedTrial)
        trial = store.load_study(resolved.study)
        trial.get_trials()
        store.storage.set_trial_user_attr(taken.trial_id, "a", 1)
        store.storage.set_trial_intermediate_value(taken.trial_id, 0, 0.5)
        store.claims.stop(study, StopReason.GOAL_REACHED, "")

    neighbour, doomed = make_round("neighbour"), make_round("doomed")
    live(neighbour)
    alone = rows(store)
    live(doomed)
    assert rows(store) != alone
    rounds.drop(store, doomed.study)
    assert rows(store) == alone
    rounds.drop(store, doomed.study)
    rounds.drop(store, neighbour.study)
    assert not any(rows(store).values())
