"""A round's best trials and its Pareto front, read from the store when trials were completed since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from tuning_kube.errors import ClusterError
from tuning_operator.stores import Location, Stores
from tuning_store.exceptions import StoreError
from tuning_store.rounds import read_verification
from tuning_store.store import Store
from tuning_store.values import Progress
from tuning_study.api.parameters import values_of
from tuning_study.api.selection import Selection
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import Best, Diagnosis, Pareto, TrialCounts, TuningStudyStatus
from tuning_study.budget import Counts
from tuning_study.results.best import best
from tuning_study.results.candidates import Candidate
from tuning_study.results.describe import describe_best, describe_front, describe_verified, verification_message
from tuning_study.results.diagnosis import Evidence, diagnose
from tuning_study.results.outcome import Comparison, compare
from tuning_study.results.selection import chosen_by, selectable_front
from tuning_study.results.verified import Verified
from tuning_study.verification import is_under_way

log = structlog.get_logger()

_UNKNOWN = -1
_FEWEST_DIAGNOSED, _MOST_DIAGNOSED = 20, 20_000  # trials: all of them are read
_GROWTH = 1.5  # of the trials, before they are read again: all readings together cost three times the last


@dataclass(frozen=True)
class Standing:
    """How a round stands: its search, and its verification once that has begun."""

    spec: TuningStudySpec
    progress: Progress
    verification: Progress | None

    @property
    def verified(self) -> Progress | None:
        """The verification, once it is over."""
        return (
            self.verification if self.verification is not None and self.verification.stop_reason is not None else None
        )

    @property
    def over(self) -> bool:
        """Whether nothing more comes, a verification included."""
        over, ended = self.progress.stop_reason, self.verified.stop_reason if self.verified is not None else None
        return over is not None and not is_under_way(self.spec, over, self.progress.counts, ended)


@dataclass
class ResultsCache:
    """Of one study. Forgetting it costs one more reading."""

    read_at: tuple[str, int, Selection | None] | None = None
    """Study and complete trials of the last reading, and the selection; None before anybody looked. Once a verification
    is over, its study."""
    best: Best | None = None
    pareto: Pareto | None = None
    verified: str = ""
    """What the verification came to, in words."""
    parameters: Mapping[str, Any] | None = None
    """Of the trial that the verification names."""
    comparison: Comparison | None = None
    """Of a retuning whose verification is over with the parameters of before."""
    chosen: str = ""
    """What the selection came to, in words; empty without one."""
    problem: str = ""
    """Why they could not be described."""
    diagnosis: list[Diagnosis] = field(default_factory=list)
    diagnosed_at: tuple[str, int, bool] = "", 0, False
    """Study, its trials that had ended, and whether it was over, when its trials were last read."""

    def take_over(self, status: TuningStudyStatus) -> None:
        """As an earlier life of the operator told them. What it told of a round that ended is the last."""
        if self.read_at is None:
            ended = status.state in ("Complete", "Failed")
            # With several objectives nobody knows by which selection the best was told.
            told = status.trials.complete if ended and status.pareto is None else _UNKNOWN
            self.read_at = status.storage.study if status.storage is not None else "", told, None
            self.best, self.pareto, self.diagnosis = status.best, status.pareto, status.diagnosis
            self.diagnosed_at = self.read_at[0], _ended(status.trials) if ended else 0, ended

    def diagnosis_of(self, study: str) -> list[Diagnosis]:
        """Empty until its trials were read for the first time."""
        return self.diagnosis if self.diagnosed_at[0] == study else []

    async def refresh(self, seen: Standing, stores: Stores, location: Location) -> None:
        """Raises StoreError. What else goes wrong is kept as the problem: other people's programs may write into the
        study, and what cannot be described is no reason to stop counting."""
        try:
            if seen.verified is not None:
                await self._read_verified(seen, seen.verified, stores, location)
            else:
                await self._read(seen, stores, location)
            await self._diagnose(seen, stores, location)
            self.problem = ""
        except (StoreError, ClusterError):
            raise
        except Exception as error:
            log.warning("the results cannot be described", study=seen.progress.study, exc_info=True)
            self.problem = f"{type(error).__name__}: {error}"

    async def _read_verified(self, seen: Standing, verification: Progress, stores: Stores, location: Location) -> None:
        spec, progress = seen.spec, seen.progress
        at = (verification.study, verification.counts.complete, spec.selection)
        if self.read_at == at and self.verified:
            return
        await self._read(seen, stores, location)  # the front, and the best if no run came to a value
        study, selection = verification.study, spec.selection
        found = await stores.open.call(location, lambda store: read_verification(store, study, selection))
        self.verified = verification_message(found, spec)
        self.parameters = None
        self.comparison = compare(spec.objectives, found)
        if found.best is not None:
            number = found.candidates[found.best].trial
            details = await stores.call(stores.readings(location).trial, progress.study, number)
            self.best = describe_verified(found, spec, details.parameters)
            self.parameters = values_of(spec.parameters, details.parameters)
        elif found.none_is_feasible:
            self.best = None
        self.chosen = ""  # what was verified says it
        self.read_at = at

    async def _read(self, seen: Standing, stores: Stores, location: Location) -> None:
        spec, progress = seen.spec, seen.progress
        at = (progress.study, progress.counts.complete, spec.selection)
        if self.read_at == at:
            return
        readings = stores.readings(location)
        found = await stores.call(readings.candidates, progress.study)
        winner, described, pareto = best(spec.objectives, found, spec.selection), None, None
        how = ""
        if spec.selection is not None and winner is not None:
            how = chosen_by(spec.selection, len(selectable_front(spec.objectives, found)))
        if winner is not None:
            details = await stores.call(readings.trial, progress.study, winner.number)
            described = describe_best(winner, spec, details.parameters, details.attributes, chosen_by=how)
        if len(spec.objectives) > 1:
            pareto = describe_front(spec.objectives, found)
        self.best, self.pareto, self.read_at = described, pareto, at
        self.chosen = _in_words(spec, winner, how, any_complete=bool(found))

    async def _diagnose(self, seen: Standing, stores: Stores, location: Location) -> None:
        """At the round's end, and before it each time that it has half as many trials again."""
        spec, progress, over = seen.spec, seen.progress, seen.over
        ended = _ended(progress.counts)
        if not self._diagnosis_is_due(progress.study, ended, over):
            return
        verified = seen.verified.study if seen.verified is not None else None

        def read(store: Store) -> list[Diagnosis]:
            found: Verified | None = read_verification(store, verified) if verified is not None else None
            trials = store.load_study(progress.study).get_trials(deepcopy=False)
            failures = store.readings.failures(progress.study)
            active = store.readings.active_seconds(progress.study)
            return diagnose(Evidence(spec, trials, failures=failures, verified=found, active_seconds=active, over=over))

        self.diagnosis = await stores.open.call(location, read)
        self.diagnosed_at = progress.study, ended, over

    def _diagnosis_is_due(self, study: str, ended: int, over: bool) -> bool:
        of, before, was_over = self.diagnosed_at
        if of != study:
            before, was_over = 0, False
        grown = ended >= _GROWTH * before if not over else (ended, over) != (before, was_over)
        return grown and _FEWEST_DIAGNOSED <= ended <= _MOST_DIAGNOSED


def _ended(counts: Counts | TrialCounts) -> int:
    return counts.complete + counts.pruned + counts.failed


def _in_words(spec: TuningStudySpec, winner: Candidate | None, how: str, *, any_complete: bool) -> str:
    if spec.selection is None or not any_complete:
        return ""
    if winner is None:
        return "no trial is feasible, so none is chosen; `tuning best` shows the one that comes nearest"
    return f"trial {winner.number} is chosen by {how}"
