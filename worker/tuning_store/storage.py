"""Opens a store: an engine, and the Optuna storage on it that waits out a database which is away."""

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import TrialState
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from tuning_store import claims
from tuning_store.exceptions import TRANSIENT, AuthenticationRefused, translated


@dataclass(frozen=True)
class Patience:
    """How long an operation waits for a database that is away: `seconds`, or until `until` is set."""

    seconds: float = 0.0
    until: threading.Event = field(default_factory=threading.Event)

    def __call__(self, operation: Callable[[], Any]) -> Any:
        attempts = Retrying(
            retry=retry_if_exception(_is_transient),
            stop=stop_after_delay(self.seconds) | stop_when_event_set(self.until),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            sleep=sleep_using_event(self.until),
            reraise=True,
        )
        return attempts(operation)


FOREVER = float("inf")


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
    storage: BaseStorage
    patience: Patience
    worker: str | None = None

    def load_study(self, name: str) -> optuna.Study:
        return optuna.load_study(study_name=name, storage=self.storage)

    def close(self) -> None:
        self.storage.remove_session()
        self.engine.dispose()


def open_store(
    url: str, *, schema: str | None = None, worker: str | None = None, patience: Patience | None = None
) -> Store:
    """The store behind a PostgreSQL, MySQL or SQLite URL; its tables exist (schema.create made them)."""
    url, patience = driver_url(url), patience or Patience(seconds=5.0)
    arguments = engine_arguments(url, schema)
    with translated():
        backend = patience(
            lambda: RDBStorage(
                url, engine_kwargs=dict(arguments), skip_compatibility_check=True, skip_table_creation=True
            )
        )
    return Store(backend.engine, PatientStorage(backend, worker, patience), patience, worker)


def driver_url(url: str) -> str:
    """`url` with the driver this package ships: `postgres://` and `postgresql://` mean psycopg2, `mysql://` PyMySQL."""
    drivers = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}
    parsed = make_url(url)
    return parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername)).render_as_string(
        hide_password=False
    )


def engine_arguments(url: str, schema: str | None = None) -> dict[str, Any]:
    """SQLAlchemy's arguments: connections are checked before use, so that a restarted server goes unnoticed."""
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        return {"connect_args": {"timeout": 60}}
    connect: dict[str, Any] = {"connect_timeout": 10}
    if backend == "postgresql":
        connect |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
        if schema is not None:
            connect["options"] = f"-csearch_path={schema}"
    return {"pool_pre_ping": True, "pool_size": 2, "max_overflow": 2, "connect_args": connect}


def _is_transient(error: BaseException) -> bool:
    try:
        with translated():
            raise error
    except AuthenticationRefused:
        return False
    except TRANSIENT:
        return True
    except BaseException:
        return False
