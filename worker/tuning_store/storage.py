"""Opens a store: the engine that our statements go through, and the Optuna storage on it."""

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import TrialState
from sqlalchemy import Dialect, Engine, NullPool, event
from sqlalchemy.engine import make_url

from tuning_store import claims
from tuning_store import schema as tables_of
from tuning_store.claims import Claimed
from tuning_store.exceptions import PermissionRefused, translated
from tuning_store.patience import Patience
from tuning_store.postgres.link import Link
from tuning_store.postgres.storage import PostgresStorage
from tuning_store.urls import driver_url, engine_arguments
from tuning_study.budget import Claim, Over

Url = str | Callable[[], str]
"""Where the store is; a function is asked again at each new connection, so that a password may change meanwhile."""


class PatientStorage(_CachedStorage):
    """Optuna's cached RDBStorage whose every operation waits out an outage, and whose results obey the claim."""

    def __init__(self, backend: RDBStorage, worker: str | None, patience: Patience) -> None:
        super().__init__(backend)
        self._worker = worker
        self._patience = patience

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        if self._worker is None or not state.is_finished():
            return super().set_trial_state_values(trial_id, state, values)
        return claims.finish(self._backend.engine, trial_id, self._worker, state, values)

    def flush(self) -> None:
        """Nothing is kept back."""

    def as_worker(self, worker: str) -> "PatientStorage":
        return PatientStorage(self._backend, worker, self._patience)

    def close(self) -> None:
        self.remove_session()
        self._backend.engine.dispose()


def _patient(name: str) -> Callable[..., Any]:
    operation = getattr(PatientStorage, name)

    @functools.wraps(operation)
    def wait_out(self: PatientStorage, *args: Any, **kwargs: Any) -> Any:
        return self._patience(lambda: operation(self, *args, **kwargs))

    return wait_out


for _name in sorted(BaseStorage.__abstractmethods__ | {"get_best_trial", "get_n_trials", "remove_session"}):
    setattr(PatientStorage, _name, _patient(_name))


@dataclass(frozen=True)
class Store:
    """An open store. `worker` is whose claims its results are checked against; None for readers."""

    engine: Engine
    storage: PostgresStorage | PatientStorage
    patience: Patience
    worker: str | None = None

    def load_study(self, name: str) -> optuna.Study:
        return optuna.load_study(study_name=name, storage=self.storage)

    def claim(self, study_id: int) -> Claimed | Claim:
        """One more trial for this store's worker; see claims.claim."""
        assert self.worker is not None
        if isinstance(self.storage, PostgresStorage):
            return self.storage.claim(study_id, claims.MOST_ATTEMPTS)
        worker = self.worker
        found = self.patience(lambda: claims.claim(self.engine, study_id, worker))
        self.storage.get_all_trials(study_id, deepcopy=False)  # Optuna's cache knows only trials that it has read
        return found

    def beat(self, study_id: int) -> Over | None:
        """This store's worker lives; see claims.beat. Does not wait for a server that is away."""
        assert self.worker is not None
        if isinstance(self.storage, PostgresStorage):
            return self.storage.beat(study_id)
        return claims.beat(self.engine, study_id, self.worker)

    def give_back(self, study_id: int) -> None:
        """What this worker runs waits for another, with all that is known of it; see claims.give_back."""
        assert self.worker is not None
        worker = self.worker
        self.storage.flush()
        self.patience(lambda: claims.give_back(self.engine, study_id, worker))

    def fail_running(self, study_id: int, reason: str) -> None:
        """What this worker runs has failed; see claims.fail_running."""
        assert self.worker is not None
        worker = self.worker
        self.storage.flush()
        self.patience(lambda: claims.fail_running(self.engine, study_id, worker, reason))

    def as_worker(self, worker: str) -> "Store":
        """The same connections, with another worker's claims."""
        return replace(self, storage=self.storage.as_worker(worker), worker=worker)

    def close(self) -> None:
        self.storage.close()


def open_store(
    url: Url, *, schema: str | None = None, worker: str | None = None, patience: Patience | None = None
) -> Store:
    """The store behind a PostgreSQL, MySQL or SQLite URL; its tables exist (schema.create made them)."""
    patience = patience or Patience(seconds=5.0)
    address = patience(lambda: _current(url))
    arguments = engine_arguments(address, schema)
    if make_url(address).get_backend_name() != "postgresql":
        backend = _rdb(url, arguments, patience)
        return Store(backend.engine, PatientStorage(backend, worker, patience), patience, worker)
    if worker is not None:  # workers are many, and connections few: what is asked seldom keeps none
        arguments = {"connect_args": arguments["connect_args"], "poolclass": NullPool}
    backend = _rdb(url, arguments, patience)
    link = Link(address, arguments["connect_args"], patience)
    for engine in (backend.engine, link.engine):
        _ask_again(engine, url)
    return Store(backend.engine, PostgresStorage(link, backend, worker), patience, worker)


def open_storage(url: str, **heartbeat: Any) -> BaseStorage:
    """An Optuna storage, for `optuna.create_study(storage=…)` and the like: ours for PostgreSQL, else Optuna's own.

    Makes the tables that are missing. `heartbeat` is what Optuna's RDBStorage takes: `heartbeat_interval` and
    `grace_period` in seconds, `heartbeat_stale_trial_callback`.
    """
    address = driver_url(url)
    arguments = engine_arguments(address)
    if make_url(address).get_backend_name() != "postgresql":
        return optuna.storages.get_storage(RDBStorage(address, engine_kwargs=arguments, **heartbeat))
    with suppress(PermissionRefused):  # a login that may not make tables: whoever made it has made them
        tables_of.create(address)
    patience = Patience(seconds=60.0)
    backend = _rdb(address, arguments, patience, **heartbeat)
    return PostgresStorage(Link(address, arguments["connect_args"], patience), backend)


def _current(url: Url) -> str:
    return driver_url(url if isinstance(url, str) else url())


def _rdb(url: Url, arguments: dict[str, Any], patience: Patience, **heartbeat: Any) -> RDBStorage:
    options = {"skip_compatibility_check": True, "skip_table_creation": True, **heartbeat}
    with translated():
        return patience(lambda: RDBStorage(_current(url), engine_kwargs=dict(arguments), **options))


def _ask_again(engine: Engine, url: Url) -> None:
    if isinstance(url, str):
        return

    @event.listens_for(engine, "do_connect")
    def use_current_url(dialect: Dialect, _: Any, __: Any, parameters: dict[str, Any]) -> None:
        parameters.update(dialect.create_connect_args(make_url(_current(url)))[1])
