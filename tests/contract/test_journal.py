"""What is special about a Redis: decisions that are made again, no pickles, and Optuna beside us."""

import pickle
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalRedisBackend
from redis import Redis

from builders import make_round
from tuning_store import address
from tuning_store.exceptions import StoreError, StoreUnavailable
from tuning_store.redis.round_state import RoundTransaction
from tuning_store.redis.storage import RedisStorage
from tuning_store.retry import RetryPolicy
from tuning_store.store import Store, open_store
from tuning_study.api.budget import Budget

from .conftest import StartRound, start_round
from .servers import free_port

STUDY = make_round().study


@pytest.fixture
def store_url(redis_url: str) -> str:
    return redis_url


def test_what_changed_while_it_was_decided_is_decided_again(store: Store, store_url: str, begin: StartRound) -> None:
    """As when a worker is suspended in the middle, for however long."""
    study, other, seen = begin(budget={"trials": 5}), open_store(store_url, worker="w-1"), []
    assert isinstance(store.storage, RedisStorage)

    def slowly(transaction: RoundTransaction) -> None:
        seen.append((transaction.round.trials, len(transaction.trials)))
        if len(seen) == 1:
            other.rounds.set_budget(STUDY, Budget(trials=1))
            other.claims.claim(study)
        transaction.create("w-0")

    store.storage.transact(study, slowly)

    assert seen == [(5, 0), (1, 1)]
    assert [trial.number for trial in store.load_study(STUDY).get_trials()] == [0, 1]
    other.close()


def test_nothing_in_it_is_unpickled(redis_url: str, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (trap,)

    Redis.from_url(redis_url).set(":snapshot", pickle.dumps(Trap()))
    store = open_store(redis_url, worker="w-0")
    study = start_round(store, make_round(budget={"trials": 300, "failedTrials": 300}))
    for _ in range(250):  # Optuna's own makes and reads a snapshot at every hundredth
        store.claims.claim(study)
        store.claims.fail_trials_of(study, "w-0", "x")
    open_store(redis_url).close()
    store.close()
    assert not trap.exists()


def test_optuna_reads_the_same_journal(store: Store, store_url: str, begin: StartRound) -> None:
    study = begin(points=({"x": 0.25},))
    mine = store.as_worker("w-0")
    trial = optuna.Trial(mine.load_study(STUDY), mine.claims.claim(study).trial_id)  # type: ignore[union-attr]
    trial.suggest_float("x", 0, 1)
    mine.load_study(STUDY).tell(trial, 0.5)

    plain = optuna.load_study(study_name=STUDY, storage=JournalStorage(JournalRedisBackend(store_url)))

    assert (plain.best_value, plain.best_params) == (0.5, {"x": 0.25})


def test_a_server_that_is_away_is_told_as_such() -> None:
    with pytest.raises(StoreUnavailable, match="refused"):
        open_store(f"redis://127.0.0.1:{free_port()}/0", retry=RetryPolicy(seconds=0.1))


def test_a_database_that_the_server_does_not_have_is_told_at_once(redis_server: str) -> None:
    with pytest.raises(StoreError, match="out of range"):
        open_store(f"{redis_server}/100000")


@pytest.mark.parametrize("url", ["redis://h/0", "mysql://u@h/d", "sqlite:////data/store.sqlite"])
def test_a_cluster_takes_no_store_but_postgresql(tmp_path: Path, url: str) -> None:
    (tmp_path / "url").write_text(url)
    with pytest.raises(StoreError, match="live in PostgreSQL: write postgresql://"):
        open_store(lambda: address.read(tmp_path / "url"), worker="w-0")
