"""The Gaussian process as a sampler for Optuna: it draws all parameters of a trial together."""

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from tuning_study.api.parameters import Parameter
from tuning_study.search.samplers._types import Array
from tuning_study.search.samplers.gaussian import dimensions
from tuning_study.search.samplers.gaussian.outcomes import outcomes
from tuning_study.search.samplers.gaussian.space import Dimension, Points, Space
from tuning_study.search.samplers.gaussian.start import Start
from tuning_study.search.samplers.reseeded import ReseededSampler
from tuning_study.search.samplers.trial_cursor import Cursor, all_trials

if TYPE_CHECKING:
    from tuning_study.search.samplers.gaussian.proposal import Proposer

_MOST_HIDDEN = 16  # trials whose points are guessed; each costs as much as a suggestion
_LEAST = 2  # trials with a cost, which a model needs


class GaussianProcessSampler(ReseededSampler):
    """One instance serves a process for all trials of one study; `reseed` makes each of them repeatable.

    `parameters` are the manifest's; without any the space is what earlier trials have suggested, and the very first one
    is drawn at random. `n_startup_trials` come before the model; by default as many as the space needs, at most 8.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter] = (),
        n_startup_trials: int | None = None,
        seed: int | None = None,
    ) -> None:
        self._given = dimensions.of_manifest(parameters)
        self._startup = n_startup_trials
        self._lock = Lock()
        self._past: _Past | None = None
        super().__init__(seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        with self._lock:
            space = self._read(study).space
            if space is None:
                return {}
            return {d.name: d.distribution for d in space.dimensions if not d.distribution.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        with self._lock:
            past = self._read(study)
            if past.space is None or not search_space:
                return {}
            row = self._next(study, past, trial)
            settled, active = past.space.settled(row[None])
            point = past.space.point(settled[0], active[0])
            return {name: value for name, value in point.items() if name in search_space}

    def _next(self, study: optuna.Study, past: "_Past", trial: FrozenTrial) -> Array:
        assert past.space is not None
        running, hidden = past.running(study, besides=trial)
        finished = past.points
        length = past.start.length if self._startup is None else self._startup
        found = outcomes(past.trials, study.directions)
        if len(finished) + len(running) < length or int(found.has_cost.sum()) < _LEAST:
            return past.start.next(trial.number, finished.and_also(running).rows, self._rng)
        for _ in range(min(hidden, _MOST_HIDDEN)):  # most likely they chose what we would have chosen
            row = past.proposer.next(finished, found, running, self._rng)
            running = running.and_also(Points(*past.space.settled(row[None])))
        return past.proposer.next(finished, found, running, self._rng)

    def _read(self, study: optuna.Study) -> "_Past":
        if self._past is None:
            self._past = _Past(self._given)
        self._past.read(all_trials(study))
        return self._past


class _Past:
    """Finished trials as rows, in the order in which they ended: what was first stays first."""

    def __init__(self, given: Sequence[Dimension]) -> None:
        self._given = given
        self._cursor = Cursor()
        self._shapes: set[frozenset[str]] = set()
        self.trials: list[FrozenTrial] = []
        self.space: Space | None = None
        self._proposer: Proposer | None = None
        if given:
            self._adopt(Space(given))

    @property
    def points(self) -> Points:
        return self._points

    @property
    def proposer(self) -> "Proposer":
        assert self.space is not None
        if self._proposer is None:
            # It needs scipy, whose import the first trials need not wait for.
            from tuning_study.search.samplers.gaussian.proposal import Proposer

            self._proposer = Proposer(self.space)
        return self._proposer

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        new = [
            trial for trial in self._cursor.finished(trials) if trial.state is not TrialState.WAITING and trial.params
        ]
        if not new:
            return
        self.trials = sorted([*self.trials, *new], key=lambda trial: (trial.datetime_complete, trial.number))
        shapes = {frozenset(trial.params) for trial in new}
        if not self._given and not shapes <= self._shapes:
            self._shapes |= shapes
            found = dimensions.of_trials(self.trials)
            if found:
                self._adopt(Space(found))
                return
        if self.space is not None:
            self._arrange()

    def running(self, study: optuna.Study, besides: FrozenTrial) -> tuple[Points, int]:
        """The points that run, and how many trials before `besides` run whose points nobody can see yet: workers write
        them a moment later."""
        assert self.space is not None
        there = self._cursor.running(all_trials(study), besides)
        seen = [trial for trial in there if trial.params and self.space.holds(trial.params)]
        hidden = sum(not trial.params and trial.number < besides.number for trial in there)
        return _settled(self.space, [self.space.row(trial.params) for trial in seen]), hidden

    def _adopt(self, space: Space) -> None:
        self.space, self.start, self._proposer = space, Start(space), None
        self._rows_of: dict[int, Array] = {}  # of finished trials, by their numbers
        self._arrange()

    def _arrange(self) -> None:
        space = self.space
        assert space is not None
        self.trials = [
            trial
            for trial in self.trials
            if space.holds(trial.params) and (trial.state is not TrialState.FAIL or space.is_whole(trial.params))
        ]
        self._rows_of |= {t.number: space.row(t.params) for t in self.trials if t.number not in self._rows_of}
        self._points = _settled(space, [self._rows_of[trial.number] for trial in self.trials])


def _settled(space: Space, rows: Sequence[Array]) -> Points:
    return Points(*space.settled(np.array(rows).reshape(len(rows), space.size)))
