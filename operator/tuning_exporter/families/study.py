"""The metrics of studies, built anew for each scrape from what the cluster and the store say. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily

from tuning_exporter.families.drift import DriftFamilies
from tuning_exporter.families.production import ProductionFamilies
from tuning_exporter.families.values import number_of
from tuning_exporter.families.workers import WorkerFamily
from tuning_store.tenants import tenant_of
from tuning_store.values import DURATION_BOUNDS, Durations, Progress, RoundKey
from tuning_study.api.status import State

_STUDY = ["namespace", "study"]
_TRIAL_STATES = ("complete", "pruned", "failed", "running", "waiting")
_DURATION_SERIES = len(DURATION_BOUNDS) + 3  # the bucket of all, the sum, and the count
MAX_SERIES = 60
"""Of one study. What rules and the state of a study rest on is told whole; details have the room that this leaves: the
features that have drifted farthest, then the durations of trials, then the shares of workers."""


@dataclass(frozen=True)
class Snapshot:
    """Everything one scrape is told from. Studies as the API server shows them; the rest by its place in the store."""

    studies: Sequence[Mapping[str, Any]] = ()
    owner: str = ""  # the cluster, by which a namespace finds its schema
    progress: Mapping[RoundKey, Progress] = field(default_factory=dict)
    durations: Mapping[RoundKey, Durations] = field(default_factory=dict)
    store_up: bool = True

    def place(self, study: Mapping[str, Any]) -> RoundKey:
        """Where the store keeps the study's round."""
        storage = (study.get("status") or {}).get("storage") or {}
        return tenant_of(study["metadata"]["namespace"], self.owner).schema, storage.get("study", "")


@dataclass(frozen=True)
class Told:
    """What a scrape tells of studies."""

    families: Sequence[Metric]
    dropped: int
    """Series that were left out, as they would have been too many."""


def tell(snapshot: Snapshot) -> Told:
    up = GaugeMetricFamily("tuning_store_up", "1 while the store answers.", value=1 if snapshot.store_up else 0)
    studies, production, details = _StudyFamilies(), ProductionFamilies(), _DetailFamilies()
    always = [*studies.families, *production.families]
    dropped = 0
    for study in snapshot.studies:
        key = [study["metadata"]["namespace"], study["metadata"]["name"]]
        place = snapshot.place(study)
        before = _series_of(always)
        studies.add(key, study, snapshot.progress.get(place))
        production.add(key, study.get("status") or {})
        room = MAX_SERIES - (_series_of(always) - before)
        dropped += details.add(key, study, snapshot.progress.get(place), snapshot.durations.get(place), room)
    return Told([*always, *details.families, up], dropped)


def _series_of(families: Sequence[Metric]) -> int:
    return sum(len(family.samples) for family in families)


class _StudyFamilies:
    """Filled study by study."""

    def __init__(self) -> None:
        self._info = InfoMetricFamily("tuning_study", "What a study is.", labels=_STUDY)
        self._state = GaugeMetricFamily(
            "tuning_study_state", "1 for the state the study is in.", labels=[*_STUDY, "state"]
        )
        self._round = GaugeMetricFamily("tuning_study_round", "The round that runs or ran last.", labels=_STUDY)
        self._target = GaugeMetricFamily("tuning_study_trials_target", "budget.trials of the round.", labels=_STUDY)
        self._trials = GaugeMetricFamily(
            "tuning_study_trials", "Trials of the round by state.", labels=[*_STUDY, "state"]
        )
        self._best = GaugeMetricFamily(
            "tuning_study_best_value", "Metrics of the best trial so far.", labels=[*_STUDY, "metric"]
        )
        self._pareto = GaugeMetricFamily(
            "tuning_study_pareto_trials", "Trials that no other one beats.", labels=[*_STUDY, "feasible"]
        )
        self._hypervolume = GaugeMetricFamily(
            "tuning_study_hypervolume",
            "Share of the box between the worst and the best values of all objectives that the Pareto set dominates.",
            labels=_STUDY,
        )
        self._workers = GaugeMetricFamily(
            "tuning_study_workers", "Workers that should run, and those that do.", labels=[*_STUDY, "state"]
        )
        self._conditions = GaugeMetricFamily(
            "tuning_study_condition",
            "1 for each condition as it stands.",
            labels=[*_STUDY, "condition", "status", "reason"],
        )

    @property
    def families(self) -> Sequence[Metric]:
        of_state = [self._info, self._state, self._round, self._target, self._trials, self._best]
        return [*of_state, self._pareto, self._hypervolume, self._workers, self._conditions]

    def add(self, key: list[str], study: Mapping[str, Any], progress: Progress | None) -> None:
        """`key` is the study's namespace and name."""
        status = study.get("status") or {}
        self._info.add_metric(key, {"uid": study["metadata"]["uid"], "phase": status.get("phase", "")})
        for name in get_args(State):
            self._state.add_metric([*key, name], float(status.get("state", "Pending") == name))
        self._round.add_metric(key, status.get("round", 0))
        for metric in (status.get("best") or {}).get("metrics", ()):
            if (value := number_of(metric["value"])) is not None:
                self._best.add_metric([*key, metric["name"]], value)
        for name in ("desired", "ready"):
            self._workers.add_metric([*key, name], (status.get("workers") or {}).get(name, 0))
        for condition in status.get("conditions") or ():
            self._conditions.add_metric([*key, condition["type"], condition["status"], condition["reason"]], 1)
        if status.get("pareto"):
            self._pareto.add_metric([*key, "true"], status["pareto"]["feasible"])
            if (share := status["pareto"].get("hypervolume")) is not None:
                self._hypervolume.add_metric(key, share)
        if progress is not None:
            if progress.limits.trials is not None:
                self._target.add_metric(key, progress.limits.trials)
            for state in _TRIAL_STATES:
                self._trials.add_metric([*key, state], getattr(progress.counts, state))


class _DetailFamilies:
    """Filled study by study, each with as much as there is room for."""

    def __init__(self) -> None:
        self._drift = DriftFamilies()
        self._durations = HistogramMetricFamily(
            "tuning_trial_duration_seconds", "From start to end of the round's finished trials.", labels=_STUDY
        )
        self._workers = WorkerFamily()

    @property
    def families(self) -> Sequence[Metric]:
        return [*self._drift.families, self._durations, self._workers.family]

    def add(
        self,
        key: list[str],
        study: Mapping[str, Any],
        progress: Progress | None,
        durations: Durations | None,
        room: int,
    ) -> int:
        """Returns how many series there was no room for."""
        before = _series_of(self.families)
        dropped = self._drift.add(key, ((study.get("status") or {}).get("drift") or {}).get("features") or (), room)
        if durations is not None:
            dropped += self._add_durations(key, durations, room - (_series_of(self.families) - before))
        if progress is not None:
            left = room - (_series_of(self.families) - before)
            dropped += self._workers.add(key, progress.counts_by_worker, left)
        return dropped

    def _add_durations(self, key: list[str], durations: Durations, room: int) -> int:
        if room < _DURATION_SERIES:
            return _DURATION_SERIES
        bounds = [*map(str, DURATION_BOUNDS), "+Inf"]
        self._durations.add_metric(key, list(zip(bounds, durations.cumulative, strict=True)), durations.total_seconds)
        return 0
