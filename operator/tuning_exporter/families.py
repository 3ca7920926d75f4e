"""The metrics of studies, built anew for each scrape from what the cluster and the store say. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily

from tuning_store.durations import BOUNDS, Durations
from tuning_store.progress import Place, Progress
from tuning_store.tenants import tenant_of
from tuning_study.budget import Counts
from tuning_study.status import State

_STUDY = ["namespace", "study"]
_TRIAL_STATES = ("complete", "pruned", "failed", "running", "waiting")


@dataclass(frozen=True)
class Scene:
    """Everything one scrape is told from. Studies as the API server shows them; the rest by its place in the store."""

    studies: Sequence[Mapping[str, Any]] = ()
    owner: str = ""  # the cluster, by which a namespace finds its schema
    progress: Mapping[Place, Progress] = field(default_factory=dict)
    durations: Mapping[Place, Durations] = field(default_factory=dict)
    store_up: bool = True


def families(scene: Scene) -> Iterable[Metric]:
    info = InfoMetricFamily("tuning_study", "What a study is.", labels=_STUDY)
    state = GaugeMetricFamily("tuning_study_state", "1 for the state the study is in.", labels=[*_STUDY, "state"])
    number = GaugeMetricFamily("tuning_study_round", "The round that runs or ran last.", labels=_STUDY)
    target = GaugeMetricFamily("tuning_study_trials_target", "budget.trials of the round.", labels=_STUDY)
    trials = GaugeMetricFamily("tuning_study_trials", "Trials of the round by state.", labels=[*_STUDY, "state"])
    best = GaugeMetricFamily("tuning_study_best_value", "Metrics of the best trial so far.", labels=[*_STUDY, "metric"])
    pareto = GaugeMetricFamily(
        "tuning_study_pareto_trials", "Trials that no other one beats.", labels=[*_STUDY, "feasible"]
    )
    workers = GaugeMetricFamily(
        "tuning_study_workers", "Workers that should run, and those that do.", labels=[*_STUDY, "state"]
    )
    conditions = GaugeMetricFamily(
        "tuning_study_condition",
        "1 for each condition as it stands.",
        labels=[*_STUDY, "condition", "status", "reason"],
    )
    shares = GaugeMetricFamily(
        "tuning_worker_trials", "Trials of the round by worker and state.", labels=[*_STUDY, "worker", "state"]
    )
    durations = HistogramMetricFamily(
        "tuning_trial_duration_seconds", "From start to end of the round's finished trials.", labels=_STUDY
    )
    up = GaugeMetricFamily("tuning_store_up", "1 while the store answers.", value=1 if scene.store_up else 0)

    for study in scene.studies:
        key = [study["metadata"]["namespace"], study["metadata"]["name"]]
        status = study.get("status") or {}
        info.add_metric(key, {"uid": study["metadata"]["uid"], "phase": status.get("phase", "")})
        for name in get_args(State):
            state.add_metric([*key, name], float(status.get("state", "Pending") == name))
        number.add_metric(key, status.get("round", 0))
        for metric in (status.get("best") or {}).get("metrics", ()):
            if (value := _number(metric["value"])) is not None:
                best.add_metric([*key, metric["name"]], value)
        for name in ("desired", "ready"):
            workers.add_metric([*key, name], (status.get("workers") or {}).get(name, 0))
        for condition in status.get("conditions") or ():
            conditions.add_metric([*key, condition["type"], condition["status"], condition["reason"]], 1)
        if status.get("pareto"):
            pareto.add_metric([*key, "true"], status["pareto"]["feasible"])
        place = tenant_of(key[0], scene.owner).schema, (status.get("storage") or {}).get("study", "")
        if place in scene.progress:
            _add_progress(key, scene.progress[place], target, trials, shares)
        if place in scene.durations:
            found = scene.durations[place]
            bounds = [*map(str, BOUNDS), "+Inf"]
            durations.add_metric(key, list(zip(bounds, found.cumulative, strict=True)), found.total_seconds)
    return [info, state, number, target, trials, best, pareto, workers, conditions, shares, durations, up]


def _number(value: Any) -> float | None:
    """A metric of a status, where infinity is a text; None for what nobody of ours wrote."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _add_progress(
    key: list[str],
    progress: Progress,
    target: GaugeMetricFamily,
    trials: GaugeMetricFamily,
    shares: GaugeMetricFamily,
) -> None:
    if progress.limits.trials is not None:
        target.add_metric(key, progress.limits.trials)
    _add_counts(key, progress.counts, trials)
    for worker, counts in progress.shares.items():
        _add_counts([*key, worker], counts, shares)


def _add_counts(key: list[str], counts: Counts, family: GaugeMetricFamily) -> None:
    for state in _TRIAL_STATES:
        family.add_metric([*key, state], getattr(counts, state))
