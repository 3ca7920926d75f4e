"""The metrics of studies, built anew for each scrape from what the cluster and the store say. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily

from tuning_exporter.families.production import ProductionFamilies
from tuning_exporter.families.values import number_of
from tuning_exporter.families.workers import WorkerFamily, dropped
from tuning_store.tenants import tenant_of
from tuning_store.values import DURATION_BOUNDS, Durations, Progress, RoundKey
from tuning_study.api.status import State

_STUDY = ["namespace", "study"]
_TRIAL_STATES = ("complete", "pruned", "failed", "running", "waiting")


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


def series_dropped(snapshot: Snapshot) -> int:
    """The number of series that `families` leaves out, as they would be too many."""
    rounds = [snapshot.progress.get(snapshot.place(study)) for study in snapshot.studies]
    return sum(dropped(one.counts_by_worker) for one in rounds if one)


def families(snapshot: Snapshot) -> Iterable[Metric]:
    info = InfoMetricFamily("tuning_study", "What a study is.", labels=_STUDY)
    state = GaugeMetricFamily("tuning_study_state", "1 for the state the study is in.", labels=[*_STUDY, "state"])
    number = GaugeMetricFamily("tuning_study_round", "The round that runs or ran last.", labels=_STUDY)
    target = GaugeMetricFamily("tuning_study_trials_target", "budget.trials of the round.", labels=_STUDY)
    trials = GaugeMetricFamily("tuning_study_trials", "Trials of the round by state.", labels=[*_STUDY, "state"])
    best = GaugeMetricFamily("tuning_study_best_value", "Metrics of the best trial so far.", labels=[*_STUDY, "metric"])
    pareto = GaugeMetricFamily(
        "tuning_study_pareto_trials", "Trials that no other one beats.", labels=[*_STUDY, "feasible"]
    )
    hypervolume = GaugeMetricFamily(
        "tuning_study_hypervolume",
        "Share of the box between the worst and the best values of all objectives that the Pareto set dominates.",
        labels=_STUDY,
    )
    workers = GaugeMetricFamily(
        "tuning_study_workers", "Workers that should run, and those that do.", labels=[*_STUDY, "state"]
    )
    conditions = GaugeMetricFamily(
        "tuning_study_condition",
        "1 for each condition as it stands.",
        labels=[*_STUDY, "condition", "status", "reason"],
    )
    shares = WorkerFamily()
    durations = HistogramMetricFamily(
        "tuning_trial_duration_seconds", "From start to end of the round's finished trials.", labels=_STUDY
    )
    production = ProductionFamilies()
    up = GaugeMetricFamily("tuning_store_up", "1 while the store answers.", value=1 if snapshot.store_up else 0)

    for study in snapshot.studies:
        key = [study["metadata"]["namespace"], study["metadata"]["name"]]
        status = study.get("status") or {}
        info.add_metric(key, {"uid": study["metadata"]["uid"], "phase": status.get("phase", "")})
        for name in get_args(State):
            state.add_metric([*key, name], float(status.get("state", "Pending") == name))
        number.add_metric(key, status.get("round", 0))
        for metric in (status.get("best") or {}).get("metrics", ()):
            if (value := number_of(metric["value"])) is not None:
                best.add_metric([*key, metric["name"]], value)
        for name in ("desired", "ready"):
            workers.add_metric([*key, name], (status.get("workers") or {}).get(name, 0))
        for condition in status.get("conditions") or ():
            conditions.add_metric([*key, condition["type"], condition["status"], condition["reason"]], 1)
        if status.get("pareto"):
            pareto.add_metric([*key, "true"], status["pareto"]["feasible"])
            if (share := status["pareto"].get("hypervolume")) is not None:
                hypervolume.add_metric(key, share)
        production.add(key, status)
        place = snapshot.place(study)
        if place in snapshot.progress:
            _add_progress(key, snapshot.progress[place], target, trials)
            shares.add(key, snapshot.progress[place].counts_by_worker)
        if place in snapshot.durations:
            found = snapshot.durations[place]
            bounds = [*map(str, DURATION_BOUNDS), "+Inf"]
            durations.add_metric(key, list(zip(bounds, found.cumulative, strict=True)), found.total_seconds)
    of_rounds = [info, state, number, target, trials, best, pareto, hypervolume, workers, conditions, durations]
    return [*of_rounds, shares.family, up, *production.families]


def _add_progress(key: list[str], progress: Progress, target: GaugeMetricFamily, trials: GaugeMetricFamily) -> None:
    if progress.limits.trials is not None:
        target.add_metric(key, progress.limits.trials)
    for state in _TRIAL_STATES:
        trials.add_metric([*key, state], getattr(progress.counts, state))
