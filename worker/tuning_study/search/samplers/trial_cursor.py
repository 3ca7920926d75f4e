"""Finished trials never change: a sampler that lives as long as its worker reads each of them once."""

from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState


def all_trials(study: optuna.Study) -> Sequence[FrozenTrial]:
    """Every trial in the order of numbers, read from the store once for each trial that is asked for."""
    return study._get_trials(deepcopy=False, use_cache=True)


class Cursor:
    """Where reading a study has come to. A step costs what is new and what is still open, whatever has been before."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._next = 0

    def finished(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials that have ended since the last call, in the order of their numbers."""
        self._open.update(range(self._next, len(trials)))
        self._next = max(self._next, len(trials))
        ended = [trials[number] for number in self._seen(trials) if trials[number].state.is_finished()]
        self._open.difference_update(trial.number for trial in ended)
        return ended

    def running(self, trials: Sequence[FrozenTrial], besides: FrozenTrial) -> list[FrozenTrial]:
        """The trials that run beside one trial, newest last."""
        there = (trials[number] for number in self._seen(trials))
        return [trial for trial in there if trial.state is TrialState.RUNNING and trial.number != besides.number]

    def _seen(self, trials: Sequence[FrozenTrial]) -> list[int]:
        """Open numbers in `trials`: another thread may have read on meanwhile."""
        return [number for number in sorted(self._open) if number < len(trials)]
