"""Buffers the changes of a trial that this process runs, until postgres.storage writes them to the server."""

import json
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from tuning_store.postgres.rows import children


class TrialBuffer:
    """`trial` has every change at once, for readers in this process; others see what was taken and written.

    Changes may come from any thread. Whoever writes holds `writing` from `take` until the server has answered, so that
    the final state is never stored before the trial's parameters.
    """

    def __init__(self, study_id: int, trial: FrozenTrial) -> None:
        self.study_id, self.trial = study_id, trial
        self.writing = threading.RLock()
        self._changing = threading.Lock()
        self._pending = PendingWrites()

    @property
    def pending_since(self) -> float | None:
        """Monotonic time of the oldest change that is not written, None when all are."""
        return self._pending.since

    def set_param(self, name: str, internal: float, distribution: BaseDistribution) -> None:
        with self._changing:
            self.trial.params[name] = distribution.to_external_repr(internal)
            self.trial.distributions[name] = distribution
            self._pending.touched().params[name] = (internal, distribution)

    def report(self, step: int, value: float) -> None:
        with self._changing:
            self.trial.intermediate_values[step] = value
            self._pending.touched().reports[step] = value

    def set_user_attr(self, key: str, value: str) -> None:
        """`value` is a JSON text, and so is that of system attributes."""
        with self._changing:
            self.trial.user_attrs[key] = json.loads(value)
            self._pending.touched().user[key] = value

    def set_system_attr(self, key: str, value: str) -> None:
        with self._changing:
            self.trial.system_attrs[key] = json.loads(value)
            self._pending.touched().system[key] = value

    def ended(self, state: TrialState, values: Sequence[float] | None, at: datetime | None) -> FrozenTrial:
        self.trial.state = state
        self.trial.values = [float(value) for value in values] if values is not None else None
        self.trial.datetime_complete = at
        return self.trial

    def take(self) -> "PendingWrites":
        """All changes that are not written; the caller writes them, or restores them."""
        with self._changing:
            taken, self._pending = self._pending, PendingWrites()
            return taken

    def restore(self, taken: "PendingWrites") -> None:
        """These could not be written: they are pending again, except for what was set anew meanwhile."""
        with self._changing:
            self._pending = taken.followed_by(self._pending)


class PendingWrites:
    """Changes of one trial that are not written to the server yet."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.params: dict[str, tuple[float, BaseDistribution]] = {}
        self.reports: dict[int, float] = {}
        self.user: dict[str, str] = {}
        self.system: dict[str, str] = {}

    def touched(self) -> "PendingWrites":
        if self.since is None:
            self.since = time.monotonic()
        return self

    def followed_by(self, later: "PendingWrites") -> "PendingWrites":
        both = PendingWrites()
        both.since = self.since if self.since is not None else later.since
        both.params = self.params | later.params
        both.reports = self.reports | later.reports
        both.user = self.user | later.user
        both.system = self.system | later.system
        return both

    def to_json(self, values: Any = None) -> str:
        """As tuning_write_v1 and tuning_finish_v1 take it, with the objectives' values if they are known."""
        return json.dumps(
            children(params=self.params, reports=self.reports, user=self.user, system=self.system, values=values)
        )
