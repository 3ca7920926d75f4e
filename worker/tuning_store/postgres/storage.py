"""Optuna's storage interface on PostgreSQL. See server.sql for what happens in the server."""

import copy
import json
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from optuna import Study
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study._frozen import FrozenStudy
from optuna.study._study_direction import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuning_store.exceptions import ClaimLost, StoreError, UnknownRound
from tuning_store.postgres import frozen
from tuning_store.postgres.draft import Draft
from tuning_store.postgres.history import History
from tuning_store.postgres.link import Link
from tuning_store.values import Claimed
from tuning_study.budget import Claim, Over
from tuning_study.results import CONSTRAINT_PREFIX, FAILURE_ATTRIBUTE
from tuning_study.worker_contract import MAX_ATTEMPTS

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import Engine

log = structlog.get_logger()
R = TypeVar("R")

_VISIBLE_WITHIN = 1.0  # seconds that a change may wait for company before it is written by itself
_LOOK = 0.5  # seconds between two looks for such changes
_CREATE_AS_WORKER = """
    WITH made AS MATERIALIZED (SELECT * FROM tuning_create(%s, NULL)),
    claimed AS (INSERT INTO tuning_claims (trial_id, study_id, worker, attempts)
                SELECT trial, %s, %s, 1 FROM made WHERE trial IS NOT NULL)
    SELECT * FROM made"""
"""A trial that an objective asks for by study.ask() is its worker's: nobody else would end it when both are gone."""
_LONGEST_NAME = 512  # characters of Optuna's columns for names


class PostgresStorage(BaseStorage, BaseHeartbeat):
    """`worker` is whose claims results are checked against; None for plain Optuna and for readers.

    What this process does to a trial that it runs is written with the trial's end, or within two seconds. Reading all
    trials is one round trip that brings what is new.
    """

    def __init__(self, link: Link, worker: str | None = None, heartbeat: Mapping[str, Any] | None = None) -> None:
        """`heartbeat` is what Optuna's RDBStorage takes of it."""
        self._link, self._worker, self._heartbeat = link, worker, dict(heartbeat or {})
        self._lock = threading.Lock()
        self._histories: dict[int, History] = {}
        self._drafts: dict[int, Draft] = {}
        self._places: dict[int, tuple[int, int]] = {}  # trial → study, number
        self._directions: dict[int, list[StudyDirection]] = {}
        self._writer: threading.Thread | None = None
        self._closed = threading.Event()

    def __reduce__(self) -> Any:
        return PostgresStorage, (self._link, self._worker, self._heartbeat)

    def as_worker(self, worker: str) -> "PostgresStorage":
        return PostgresStorage(self._link, worker, self._heartbeat)

    @cached_property
    def _studies(self) -> "RDBStorage":
        """Optuna's own storage on the same tables, for what is asked seldom: most workers never import SQLAlchemy."""
        from sqlalchemy import NullPool

        from tuning_store.sql_storage import rdb_storage
        from tuning_store.urls import engine_arguments

        arguments = engine_arguments(self._link.url) | {"connect_args": dict(self._link.arguments)}
        if self._worker is not None:  # workers are many, and connections few: what is asked seldom keeps none
            arguments = {"connect_args": arguments["connect_args"], "poolclass": NullPool}
        return rdb_storage(self._link.source, arguments, self._link.patience, **self._heartbeat)

    @property
    def engine(self) -> "Engine":
        """SQLAlchemy's, on the same database."""
        return self._studies.engine

    def flush(self) -> None:
        """Write what is not written yet. Nothing happens to trials that are no longer this worker's."""
        for draft in self._open_drafts():
            with suppress(ClaimLost, UpdateFinishedTrialError, KeyError):
                self._write(draft, self._link.call)

    def close(self) -> None:
        """Write what is not written yet, and let go of the connections."""
        self._closed.set()
        self.flush()
        if "_studies" in vars(self):
            self._studies.remove_session()
            self._studies.engine.dispose()
        self._link.close()

    # Studies are few, and what is known of them changes seldom: Optuna's own code serves, but for what every worker
    # asks at its start.

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        return self._patiently(lambda: self._studies.create_new_study(directions, study_name))

    def delete_study(self, study_id: int) -> None:
        with self._lock:
            self._histories.pop(study_id, None)
        self._forget_drafts(study_id)
        self._patiently(lambda: self._studies.delete_study(study_id))

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._patiently(lambda: self._studies.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._patiently(lambda: self._studies.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        rows = self._link.call("SELECT study_id FROM studies WHERE study_name = %s", (study_name,))
        if not rows:
            raise KeyError(f"no study {study_name!r} in the store")
        return int(rows[0][0])

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._patiently(lambda: self._studies.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        if study_id not in self._directions:
            statement = "SELECT direction FROM study_directions WHERE study_id = %s ORDER BY objective"
            rows = self._link.call(statement, (study_id,))
            if not rows:
                raise KeyError(f"no study {study_id} in the store")
            self._directions[study_id] = [StudyDirection[direction] for (direction,) in rows]
        return self._directions[study_id]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._patiently(lambda: self._studies.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._patiently(lambda: self._studies.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        return self._patiently(self._studies.get_all_studies)

    def _patiently(self, operation: Callable[[], R]) -> R:
        return self._link.patience(operation)

    # Trials begin.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        given = None if template_trial is None else json.dumps(frozen.whole(template_trial))
        [(trial_id, number, started)] = (
            self._link.call("SELECT * FROM tuning_create(%s, %s)", (study_id, given))
            if self._worker is None or given is not None
            else self._link.call(_CREATE_AS_WORKER, (study_id, study_id, self._worker))
        )
        if trial_id is None:
            raise KeyError(f"no study {study_id} in the store")
        if template_trial is None:
            self._begin_draft(study_id, frozen.new_trial(trial_id, number, started))
        self._places[trial_id] = study_id, number
        return int(trial_id)

    def claim(self, study_id: int) -> Claimed | Claim:
        """See claims.claim."""
        [(verdict, trial_id, number, taken, attempt, fresh, started)] = self._link.patience.repeat(
            lambda again: self._link.once(
                "SELECT * FROM tuning_claim(%s, %s, %s, %s, %s)",
                (study_id, self._worker, MAX_ATTEMPTS, FAILURE_ATTRIBUTE, again),
            )
        )
        self._forget_drafts(study_id)
        if verdict == "unknown":
            raise UnknownRound(f"study {study_id} is no longer in the store")
        if verdict != Claim.TAKE:
            return Claim(verdict)
        self._begin_draft(study_id, frozen.new_trial(trial_id, number, started) if fresh else self._read(trial_id))
        return Claimed(trial_id, number, taken, attempt)

    def beat(self, study_id: int) -> Over | None:
        """See claims.beat. Nobody tries again: the next beat does."""
        [(ended,)] = self._link.once("SELECT tuning_beat(%s, %s)", (study_id, self._worker))
        if ended == "unknown":
            raise UnknownRound(f"study {study_id} is no longer in the store")
        return None if ended is None else Over(ended)

    def _begin_draft(self, study_id: int, trial: FrozenTrial) -> None:
        with self._lock:
            self._drafts[trial._trial_id] = Draft(study_id, trial)
            self._places[trial._trial_id] = study_id, trial.number
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_in_time, name="writer", daemon=True)
                self._writer.start()

    def _forget_drafts(self, study_id: int) -> None:
        with self._lock:
            self._drafts = {key: draft for key, draft in self._drafts.items() if draft.study_id != study_id}

    # Trials change.

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        _check_name(param_name)
        draft = self._drafts.get(trial_id)
        if draft is None:
            self._check_updatable(trial_id)
        study_id = self._place(trial_id)[0]
        check_distribution_compatibility(self._first_distribution(study_id, param_name, distribution), distribution)
        if draft is not None:
            draft.set_param(param_name, param_value_internal, distribution)
        else:
            self._write_now(trial_id, frozen.children(params={param_name: (param_value_internal, distribution)}))

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        if (draft := self._drafts.get(trial_id)) is not None:
            draft.report(step, intermediate_value)
        else:
            self._check_updatable(trial_id)
            self._write_now(trial_id, frozen.children(reports={step: intermediate_value}))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        _check_name(key)
        text = json.dumps(value)
        if (draft := self._drafts.get(trial_id)) is not None:
            draft.set_user_attr(key, text)
        else:
            self._check_updatable(trial_id)
            self._write_now(trial_id, frozen.children(user={key: text}))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        _check_name(key)
        text = json.dumps(value)
        if (draft := self._drafts.get(trial_id)) is not None:
            draft.set_system_attr(key, text)
            if not key.startswith(CONSTRAINT_PREFIX):  # the samplers of other workers act on it
                self._write(draft, self._link.call)
        else:
            self._check_updatable(trial_id)
            self._write_now(trial_id, frozen.children(system={key: text}))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        if state is TrialState.RUNNING:
            return self._run_waiting(trial_id)
        draft = self._drafts.get(trial_id)
        if draft is None:
            draft = Draft(self._place(trial_id)[0], self._read(trial_id))
        with draft.writing:
            taken = draft.take()
            said = taken.said(values)
            try:
                outcome, ended = self._link.patience.repeat(
                    lambda again: self._link.once(
                        "SELECT * FROM tuning_finish(%s, %s, %s, %s, %s)",
                        (trial_id, self._worker, state.name, said, again),
                    )
                )[0]
            except BaseException:
                draft.give_back(taken)
                raise
            self._drafts.pop(trial_id, None)
        if outcome == "put back":
            return False
        self._judge(trial_id, outcome)
        self._history(draft.study_id).told(draft.ended(state, values, frozen.local_time(ended)))
        return True

    def _run_waiting(self, trial_id: int) -> bool:
        [(found, started)] = self._link.call("SELECT * FROM tuning_run_waiting(%s)", (trial_id,))
        if found in ("unknown", "finished"):
            self._judge(trial_id, found)
        if started is None:
            return False
        self._begin_draft(self._place(trial_id)[0], self._read(trial_id))
        return True

    def _write_in_time(self) -> None:
        """Writes what would otherwise stay unseen for long. What fails here is tried again, or told at the end."""
        while not self._closed.wait(_LOOK):
            with self._lock:
                if not self._drafts:
                    self._writer = None
                    return
            for draft in self._open_drafts():
                since = draft.waiting_since
                if since is not None and time.monotonic() - since >= _VISIBLE_WITHIN:
                    try:
                        self._write(draft, self._link.once)
                    except (StoreError, KeyError, UpdateFinishedTrialError) as error:
                        log.warning("the trial's parameters and reports wait", trial=draft.trial.number, why=str(error))

    def _write(self, draft: Draft, send: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]) -> None:
        with draft.writing:
            taken = draft.take()
            if taken.since is None:
                return
            try:
                outcome = self._say(draft.trial._trial_id, taken.said(), send)
            except StoreError:
                draft.give_back(taken)
                raise
        self._judge(draft.trial._trial_id, outcome)

    def _write_now(self, trial_id: int, said: dict[str, Any]) -> None:
        self._judge(trial_id, self._say(trial_id, json.dumps(said), self._link.call))

    def _say(self, trial_id: int, said: str, send: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]) -> str:
        outcome: str = send("SELECT tuning_write(%s, %s, %s)", (trial_id, self._worker, said))[0][0]
        return outcome

    def _judge(self, trial_id: int, outcome: str) -> None:
        if outcome == "unknown":
            raise KeyError(f"no trial {trial_id} in the store")
        if outcome == "finished":
            raise UpdateFinishedTrialError(f"trial {trial_id} is finished already")
        if outcome == "lost":
            raise ClaimLost(f"trial {trial_id} is no longer {self._worker}'s")

    def _check_updatable(self, trial_id: int) -> None:
        self.check_trial_is_updatable(trial_id, self.get_trial(trial_id).state)

    def _first_distribution(self, study_id: int, name: str, given: BaseDistribution) -> BaseDistribution:
        """What the study's trials draw this parameter from; `given` if this is the first."""
        known = self._history(study_id).distributions
        if name not in known:
            rows = self._link.call(
                "SELECT p.distribution_json FROM trial_params p JOIN trials t USING (trial_id) "
                "WHERE t.study_id = %s AND p.param_name = %s LIMIT 1",
                (study_id, name),
            )
            known[name] = frozen.read_distribution(rows[0][0]) if rows else given
        return known[name]

    def _open_drafts(self) -> list[Draft]:
        with self._lock:
            return list(self._drafts.values())

    # Trials are read.

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if (draft := self._drafts.get(trial_id)) is not None:
            return frozen.copy_trial(draft.trial)
        if trial_id in self._places:
            study_id, number = self._places[trial_id]
            ended = self._history(study_id).ended(number)
            if ended is not None:
                return ended
        return self._read(trial_id)

    def _read(self, trial_id: int) -> FrozenTrial:
        rows = self._link.call(frozen.READ, (None, None, [trial_id]))
        if not rows:
            raise KeyError(f"no trial {trial_id} in the store")
        return frozen.copy_trial(frozen.read_trial(rows[0]))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        history = self._history(study_id)
        self._refresh(study_id, history)
        trials = history.trials(states)
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        rows = self._link.call(
            "SELECT trial_id FROM trials WHERE study_id = %s AND number = %s", (study_id, trial_number)
        )
        if not rows:
            raise KeyError(f"no trial {trial_number} in study {study_id}")
        trial_id: int = rows[0][0]
        return trial_id

    def _place(self, trial_id: int) -> tuple[int, int]:
        """The trial's study and number."""
        if trial_id not in self._places:
            rows = self._link.call("SELECT study_id, number FROM trials WHERE trial_id = %s", (trial_id,))
            if not rows:
                raise KeyError(f"no trial {trial_id} in the store")
            self._places[trial_id] = rows[0][0], rows[0][1]
        return self._places[trial_id]

    def _history(self, study_id: int) -> History:
        with self._lock:
            return self._histories.setdefault(study_id, History())

    def _refresh(self, study_id: int, history: History) -> None:
        with history.refreshing:
            history.begin(self._link.losses)
            rows = self._link.call(frozen.READ, (study_id, history.last, history.open))
            if not rows and history.last < 0:
                self.get_study_directions(study_id)  # raises for a study that is not there
            history.add(self._with_drafts(frozen.read_trial(row)) for row in rows)

    def _with_drafts(self, trial: FrozenTrial) -> FrozenTrial:
        """What this process knows of a trial that it runs is more than the store has got."""
        draft = self._drafts.get(trial._trial_id)
        return frozen.copy_trial(draft.trial) if draft and trial.state is TrialState.RUNNING else trial

    # Heartbeats, for plain Optuna's optimize(); the operator's workers beat in tuning_workers.

    def record_heartbeat(self, trial_id: int) -> None:
        self._link.call(
            "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (%s, localtimestamp) "
            "ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat RETURNING trial_id",
            (trial_id,),
        )

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        return self._patiently(lambda: self._studies._get_stale_trial_ids(study_id))

    def get_heartbeat_interval(self) -> int | None:
        interval: int | None = self._heartbeat.get("heartbeat_interval")
        return interval

    def get_heartbeat_stale_trial_callback(self) -> Callable[[Study, FrozenTrial], None] | None:
        callback: Callable[[Study, FrozenTrial], None] | None = self._heartbeat.get("heartbeat_stale_trial_callback")
        return callback


def _check_name(name: str) -> None:
    """PostgreSQL would refuse it too, but later, when the change is written."""
    if "\x00" in name:
        raise ValueError(f"the name {name!r} has a NUL character, which PostgreSQL cannot store; leave it out")
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError(f"the name {name!r} is no text that UTF-8 could hold: half of a character is missing")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"the name {name[:40]!r}… has {len(name)} characters; write at most {_LONGEST_NAME}")
