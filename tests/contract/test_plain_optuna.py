"""What the README says of Optuna programs: they read and write our studies by the URL, and may have our storage."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import optuna
import pytest
from optuna.trial import TrialState

from builders import make_round
from tuning_store import open_storage, schema
from tuning_store.optuna_internals import CachedStorage
from tuning_store.postgres.storage import PostgresStorage
from tuning_store.store import open_store
from tuning_store.values import ClaimedTrial
from tuning_study.budget import Counts

from .conftest import start_round

STUDY = make_round().study


@contextmanager
def plain_study(url: str) -> Iterator[optuna.Study]:
    """As any program loads it; its connections are closed afterwards, which others leave to their end."""
    study = optuna.load_study(study_name=STUDY, storage=url)
    yield study
    assert isinstance(study._storage, CachedStorage)
    study._storage.remove_session()
    study._storage._backend.engine.dispose()


def objective(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 0, 1) ** 2


@pytest.fixture
def started_url(postgres_url: str) -> str:
    """`postgresql://…`, as everybody writes it, with a round in which one of our workers has finished a trial."""
    schema.create(postgres_url)
    store = open_store(postgres_url, worker="w-0")
    study_id = start_round(store, make_round())
    taken = store.claims.claim(study_id)
    assert isinstance(taken, ClaimedTrial)
    store.load_study(STUDY).tell(taken.number, 0.5)
    store.close()
    assert postgres_url.startswith("postgresql://")
    return postgres_url


def test_load_study_reads_and_writes_a_study_by_its_url(started_url: str) -> None:
    with plain_study(started_url) as study:
        assert [trial.value for trial in study.trials] == [0.5]
        study.optimize(objective, n_trials=2)
    store = open_store(started_url)
    assert store.readings.progress()[STUDY].counts == Counts(complete=3), "what it finished counts towards the budget"
    assert [trial.number for trial in store.load_study(STUDY).trials] == [0, 1, 2]
    store.close()


def test_a_plain_worker_shares_the_study_with_ours(started_url: str) -> None:
    store = open_store(started_url, worker="w-0")
    study_id = store.rounds.find(STUDY)
    with plain_study(started_url) as plain:
        asked, taken = plain.ask(), store.claims.claim(study_id)
        assert isinstance(taken, ClaimedTrial)
        assert (asked.number, taken.number) == (1, 2)
        assert store.claims.requeue_stale(study_id, stale_after=timedelta(0)) == [2]
        assert plain.trials[1].state is TrialState.RUNNING, "a plain worker's trial is nobody else's"
        plain.tell(asked, 0.25)
    assert [trial.value for trial in store.load_study(STUDY).trials] == [0.5, 0.25, None]
    store.close()


def test_open_storage_gives_the_same_study_faster(started_url: str) -> None:
    storage = open_storage(started_url)
    assert isinstance(storage, PostgresStorage)
    optuna.load_study(study_name=STUDY, storage=storage).optimize(objective, n_trials=2)
    storage.close()
    with plain_study(started_url) as study:
        assert [trial.number for trial in study.trials] == [0, 1, 2]
