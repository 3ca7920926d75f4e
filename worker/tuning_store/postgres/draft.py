"""A trial that this process runs: all of it is known here, and what the store has not got yet is kept and counted."""

import json
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from tuning_store.postgres.frozen import children


class Draft:
    """`trial` is what readers in this process see at once; others see what `take` handed over and was written.

    Whoever writes holds `writing` from `take` until the answer, so that an end never overtakes a parameter.
    """

    def __init__(self, study_id: int, trial: FrozenTrial) -> None:
        self.study_id, self.trial = study_id, trial
        self.writing = threading.RLock()
        self._changing = threading.Lock()
        self._unwritten = _Unwritten()

    @property
    def waiting_since(self) -> float | None:
        """Monotonic time of the oldest change that is not written, None when all is."""
        return self._unwritten.since

    def set_param(self, name: str, internal: float, distribution: BaseDistribution) -> None:
        with self._changing:
            self.trial.params[name] = distribution.to_external_repr(internal)
            self.trial.distributions[name] = distribution
            self._unwritten.touched().params[name] = (internal, distribution)

    def report(self, step: int, value: float) -> None:
        with self._changing:
            self.trial.intermediate_values[step] = value
            self._unwritten.touched().reports[step] = value

    def set_user_attr(self, key: str, value: str) -> None:
        """`value` is a JSON text, and so is that of system attributes."""
        with self._changing:
            self.trial.user_attrs[key] = json.loads(value)
            self._unwritten.touched().user[key] = value

    def set_system_attr(self, key: str, value: str) -> None:
        with self._changing:
            self.trial.system_attrs[key] = json.loads(value)
            self._unwritten.touched().system[key] = value

    def ended(self, state: TrialState, values: Sequence[float] | None, at: datetime | None) -> FrozenTrial:
        self.trial.state = state
        self.trial.values = [float(value) for value in values] if values is not None else None
        self.trial.datetime_complete = at
        return self.trial

    def take(self) -> "_Unwritten":
        """All that is not written; the caller writes it, or gives it back."""
        with self._changing:
            taken, self._unwritten = self._unwritten, _Unwritten()
            return taken

    def give_back(self, taken: "_Unwritten") -> None:
        """What could not be written is unwritten again, but for what was set anew meanwhile."""
        with self._changing:
            self._unwritten = taken.then(self._unwritten)


class _Unwritten:
    def __init__(self) -> None:
        self.since: float | None = None
        self.params: dict[str, tuple[float, BaseDistribution]] = {}
        self.reports: dict[int, float] = {}
        self.user: dict[str, str] = {}
        self.system: dict[str, str] = {}

    def touched(self) -> "_Unwritten":
        if self.since is None:
            self.since = time.monotonic()
        return self

    def then(self, later: "_Unwritten") -> "_Unwritten":
        both = _Unwritten()
        both.since = self.since if self.since is not None else later.since
        both.params = self.params | later.params
        both.reports = self.reports | later.reports
        both.user = self.user | later.user
        both.system = self.system | later.system
        return both

    def said(self, values: Any = None) -> str:
        """As tuning_write_children takes it."""
        return json.dumps(
            children(params=self.params, reports=self.reports, user=self.user, system=self.system, values=values)
        )
