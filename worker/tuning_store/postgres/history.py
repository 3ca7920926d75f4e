"""The trials of a study as far as this process has read them; finished ones are read once."""

import threading
from bisect import insort
from collections import defaultdict
from collections.abc import Container, Iterable
from operator import attrgetter

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

_TOLD = 100


class History:
    """Numbers are dense and in the order of creation, so that one cursor tells what is new."""

    def __init__(self) -> None:
        self.refreshing = threading.Lock()
        self.distributions: dict[str, BaseDistribution] = {}  # the first seen of each parameter
        self._trials: list[FrozenTrial] = []  # by number
        self._ended: dict[TrialState, list[FrozenTrial]] = defaultdict(list)  # the finished ones, each by number
        self._open: set[int] = set()  # Optuna's ids
        self._told: dict[int, FrozenTrial] = {}  # the last that this process ended, by number
        self._losses = 0

    @property
    def last(self) -> int:
        """The highest number that was read."""
        return len(self._trials) - 1

    @property
    def open(self) -> list[int]:
        """Ids of the trials that were not finished when they were read."""
        return list(self._open)

    def begin(self, losses: int) -> None:
        """Before a refresh. After a lost connection all is read anew: a failover may have taken back what was read."""
        if losses != self._losses:
            self._losses = losses
            self._trials, self._open, self._told = [], set(), {}
            self._ended.clear()

    def add(self, read: Iterable[FrozenTrial]) -> None:
        """Trials in the order of their numbers, all that are new and all that were open."""
        for trial in read:
            for name, distribution in trial.distributions.items():
                self.distributions.setdefault(name, distribution)
            if trial.number < len(self._trials):
                self._trials[trial.number] = trial
            else:
                self._trials.append(trial)
            if trial.state.is_finished():
                self._open.discard(trial._trial_id)
                insort(self._ended[trial.state], trial, key=attrgetter("number"))
            else:
                self._open.add(trial._trial_id)

    def told(self, trial: FrozenTrial) -> None:
        """A trial that this process ended; Optuna asks for it at once."""
        if len(self._told) >= _TOLD:
            self._told.pop(next(iter(self._told)))
        self._told[trial.number] = trial

    def ended(self, number: int) -> FrozenTrial | None:
        """The trial of this number, if it is finished and known."""
        if number < len(self._trials) and self._trials[number].state.is_finished():
            return self._trials[number]
        return self._told.get(number)

    def trials(self, states: Container[TrialState] | None) -> list[FrozenTrial]:
        """By number; the list is the caller's, the trials are not."""
        wanted = [state for state in TrialState if states is None or state in states]
        if len(wanted) == len(TrialState):
            return list(self._trials)
        if len(wanted) == 1 and wanted[0].is_finished():  # which pruners ask for with every report
            return list(self._ended[wanted[0]])
        return [trial for trial in self._trials if trial.state in wanted]
