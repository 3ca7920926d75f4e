"""Caches the trials of a study in this process, so that postgres.storage reads each finished trial once."""

import threading
from bisect import insort
from collections import defaultdict
from collections.abc import Container, Iterable
from operator import attrgetter

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from tuning_store.optuna_internals import id_of_trial

_MAX_REMEMBERED = 100  # trials that this process ended, kept until a refresh brings them


class TrialCache:
    """Numbers are dense and in the order of creation, so that the highest one tells what is new.

    `refreshing` is held by whoever calls `begin` and `add`.
    """

    def __init__(self) -> None:
        self.refreshing = threading.Lock()
        self.distributions: dict[str, BaseDistribution] = {}  # the first seen of each parameter
        self._trials: list[FrozenTrial] = []  # by number
        self._ended: dict[TrialState, list[FrozenTrial]] = defaultdict(list)  # the finished ones, each by number
        self._open: set[int] = set()  # Optuna's ids
        self._remembered: dict[int, FrozenTrial] = {}  # the last that this process ended, by number
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
        """Before a refresh; `losses` is how many connections broke so far.

        After a lost connection all is read anew: a failover may have taken back what was read.
        """
        if losses != self._losses:
            self._losses = losses
            self._trials, self._open, self._remembered = [], set(), {}
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
                self._open.discard(id_of_trial(trial))
                insort(self._ended[trial.state], trial, key=attrgetter("number"))
            else:
                self._open.add(id_of_trial(trial))

    def remember_finished(self, trial: FrozenTrial) -> None:
        """A trial that this process ended; Optuna asks for it at once."""
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.pop(next(iter(self._remembered)))
        self._remembered[trial.number] = trial

    def finished(self, number: int) -> FrozenTrial | None:
        """The trial of this number, if it is finished and known."""
        if number < len(self._trials) and self._trials[number].state.is_finished():
            return self._trials[number]
        return self._remembered.get(number)

    def trials(self, states: Container[TrialState] | None) -> list[FrozenTrial]:
        """By number; the list is the caller's, the trials are not."""
        wanted = [state for state in TrialState if states is None or state in states]
        if len(wanted) == len(TrialState):
            return list(self._trials)
        if len(wanted) == 1 and wanted[0].is_finished():  # which pruners ask for with every report
            return list(self._ended[wanted[0]])
        return [trial for trial in self._trials if trial.state in wanted]
