"""Optuna's RDBStorage as this package uses it: whole for MySQL and SQLite, for studies alone beside PostgreSQL."""

from collections.abc import Callable, Sequence
from typing import Any

from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine import make_url

from tuning_store import claims
from tuning_store.exceptions import translated
from tuning_store.patience import Patience, waits_out_outages
from tuning_store.urls import driver_url
from tuning_store.values import Claimed
from tuning_study.budget import Claim, Over


@waits_out_outages("claim", "get_best_trial", "get_n_trials", "remove_session")
class PatientStorage(_CachedStorage):
    """Optuna's cached RDBStorage whose every operation waits out an outage, and whose results obey the claim."""

    def __init__(self, backend: RDBStorage, worker: str | None, patience: Patience) -> None:
        super().__init__(backend)
        self._worker = worker
        self._patience = patience

    def claim(self, study_id: int) -> Claimed | Claim:
        """See claims.claim."""
        assert self._worker is not None
        found = claims.claim(self._backend.engine, study_id, self._worker)
        self.get_all_trials(study_id, deepcopy=False)  # Optuna's cache knows only trials that it has read
        return found

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        if self._worker is not None and template_trial is None:
            claims.take(self._backend.engine, study_id, trial_id, self._worker)
        return trial_id

    def beat(self, study_id: int) -> Over | None:
        """See claims.beat."""
        assert self._worker is not None
        return claims.beat(self._backend.engine, study_id, self._worker)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        if self._worker is None or not state.is_finished():
            return super().set_trial_state_values(trial_id, state, values)
        engine, worker = self._backend.engine, self._worker
        return self._patience.repeat(lambda again: claims.finish(engine, trial_id, worker, state, values, again=again))

    def flush(self) -> None:
        """Nothing is kept back."""

    def as_worker(self, worker: str) -> "PatientStorage":
        return PatientStorage(self._backend, worker, self._patience)

    def close(self) -> None:
        self.remove_session()
        self._backend.engine.dispose()


def rdb_storage(
    url: str | Callable[[], str], arguments: dict[str, Any], patience: Patience, **heartbeat: Any
) -> RDBStorage:
    """On tables that are there. A `url` that is a function is asked again for each connection."""
    options = {"skip_compatibility_check": True, "skip_table_creation": True, **heartbeat}
    with translated():
        storage = patience(lambda: RDBStorage(current_url(url), engine_kwargs=dict(arguments), **options))
    if not isinstance(url, str):
        _ask_for_each_connection(storage.engine, url)
    return storage


def current_url(url: str | Callable[[], str]) -> str:
    return driver_url(url if isinstance(url, str) else url())


def _ask_for_each_connection(engine: Engine, url: Callable[[], str]) -> None:
    @event.listens_for(engine, "do_connect")
    def use_current_url(dialect: Dialect, _: Any, __: Any, parameters: dict[str, Any]) -> None:
        parameters.update(dialect.create_connect_args(make_url(current_url(url)))[1])
