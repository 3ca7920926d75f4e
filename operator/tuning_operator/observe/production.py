"""How the model in production stands, from what was told of it: pure, and asked at each look at a study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tuning_store.features import KnownFeatures
from tuning_store.production import Evidence, KnownAlert
from tuning_study.api.duration import format_duration
from tuning_study.api.production import ProductionMetric
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import (
    FEATURES_TOLD,
    DriftStatus,
    FeatureStatus,
    ProductionStatus,
    TuningStudyStatus,
    in_production,
)
from tuning_study.production.degradation import BaselineValue, Judgement, judge
from tuning_study.production.drift import judge_drift
from tuning_study.production.features import Counts
from tuning_study.production.observation import Observation
from tuning_study.production.windows import last_window, total

ALERT_HOLDS = timedelta(hours=48)
"""An alert that Alertmanager has not repeated for so long is gone: its repeat_interval is 4 hours unless told."""
_WEEK = timedelta(days=7)
_WINDOWS_MISSED = 3  # until observations are missed


@dataclass(frozen=True)
class Production:
    """The model in production at one moment."""

    metrics: Sequence[ProductionStatus] = ()
    """One for each metric that is watched."""
    alerts: Sequence[KnownAlert] = ()
    """Those that fire."""
    drift: DriftStatus | None = None
    """None where no feature is watched."""
    drift_asks: bool = False
    """Whether what has drifted is a cause for a round: by itself it is none."""
    seen_well_at: datetime | None = None
    """The earliest of the metrics' last observations, if all are judged and none is degraded; None otherwise."""


def standing(
    spec: TuningStudySpec,
    status: TuningStudyStatus,
    evidence: Evidence,
    drift: DriftStatus | None,
    missing: Mapping[str, str],
    now: datetime,
) -> Production:
    """What was told since `judged_since` comes to now. `drift` is what drift_of has found, and `missing` says,
    by metric, why the last attempt to observe it failed."""
    alerts = [alert for alert in evidence.alerts if now - alert.seen_at < ALERT_HOLDS]
    before = {entry.name: entry for entry in status.production}
    metrics, judgements = [], []
    began = (status.rounds[0].start_time if status.rounds else None) or now
    since = judged_since(status)
    for metric in spec.production.metrics if spec.production is not None else ():
        told, known = evidence.observations.get(metric.name, ()), before.get(metric.name)
        found = _judged(spec, metric, status, [one for one in told if one.time > since], known)
        judgements.append(found)
        last = max(told, key=lambda one: one.time, default=None)
        metrics.append(_told(metric, found, last, known, missing.get(metric.name, ""), max(began, since), now))
    times = [entry.time for entry in metrics if entry.time is not None and not entry.stale]
    well = len(times) == len(metrics) > 0 and all(found.verdict == "Healthy" for found in judgements)
    asks = drift is not None and drift.verdict == "Drifted" and "Drift" in spec.retune.triggers
    return Production(metrics, alerts, drift, asks, min(times) if well else None)


def drift_of(spec: TuningStudySpec, features: KnownFeatures) -> DriftStatus | None:
    """Of the last window of each feature that is complete. Until there is one, what has come is told, and not judged.
    None where no feature is watched."""
    rule = spec.production.drift if spec.production is not None else None
    if rule is None:
        return None
    if not features.references:
        return DriftStatus(verdict="Unknown", message="no reference yet: a round has to end, or one to be sent")
    current: dict[str, Counts] = {}
    ends: list[datetime] = []
    for name, sent in features.sent.items():
        window = last_window([(each.time, each.counts) for each in sent], length=rule.window, samples=rule.min_samples)
        if window is not None:
            current[name] = window.counts
            ends.append(window.end)
        elif (begun := total([each.counts for each in sent])).total < rule.min_samples:
            current[name] = begun
    if features.sent and not current:
        return DriftStatus(verdict="Unknown", message=f"the first window of {format_duration(rule.window)} is not over")
    found = judge_drift(features.references, current, rule, _WEEK / rule.window)
    told = [
        FeatureStatus(name=each.feature, psi=round(each.psi, 4), threshold=round(each.threshold, 4))
        for each in found.judged[:FEATURES_TOLD]
        if each.psi is not None and each.threshold is not None
    ]
    return DriftStatus(verdict=found.verdict, time=max(ends, default=None), features=told, message=found.evidence)


def judged_since(status: TuningStudyStatus) -> datetime:
    """Since when its parameters are in production, as far as that is known; from the beginning before any are."""
    if status.promotion is not None and status.promotion.stable_since is not None:
        return status.promotion.stable_since
    serving = in_production(status)
    since = serving.completion_time if serving is not None else None
    return since or datetime.min.replace(tzinfo=UTC)


def _judged(
    spec: TuningStudySpec,
    metric: ProductionMetric,
    status: TuningStudyStatus,
    observed: Sequence[Observation],
    before: ProductionStatus | None,
) -> Judgement:
    baseline = _baseline(spec, metric, status)
    if isinstance(baseline, str):
        return Judgement(metric.name, "Unknown", threshold=1.0, reason=baseline)
    degraded_since = before.degraded_since if before is not None else None
    was_degraded = degraded_since is not None and degraded_since <= judged_since(status)
    return judge(metric, spec.direction_of(metric), baseline, observed, was_degraded=was_degraded)


def _baseline(spec: TuningStudySpec, metric: ProductionMetric, status: TuningStudyStatus) -> BaselineValue | str | None:
    """None where it is learnt from the first observations; a sentence where there is none yet."""
    given = metric.baseline
    if given is not None and given.value is not None:
        return BaselineValue(given.value, None, "Given")
    measured = any(metric.name == known.name for known in spec.metrics)
    if (given is not None and given.from_ == "FirstObservations") or not measured:
        return None
    serving = in_production(status)
    if serving is not None and serving.best is not None:
        for value in serving.best.metrics:
            if value.name == metric.name and not isinstance(value.value, str):
                return BaselineValue(value.value, None, "Verified" if serving.best.verified else "Best")
    return "its baseline is known once a round has ended with a best trial"


def _told(
    metric: ProductionMetric,
    found: Judgement,
    last: Observation | None,
    before: ProductionStatus | None,
    missing: str,
    watched_since: datetime,
    now: datetime,
) -> ProductionStatus:
    """A metric that cannot be judged stays as it was: what vanishes has not recovered."""
    source = metric.source
    late = source.window * _WINDOWS_MISSED + source.delay
    stale = now - (last.time if last is not None else watched_since) > late
    since = before.degraded_since if before is not None else None
    if found.verdict == "Degraded":
        since = since or found.since
    elif found.verdict == "Healthy":
        since = None
    seen = f"since {last.time.astimezone(UTC):%Y-%m-%dT%H:%MZ}" if last is not None else "yet"
    still = "degraded before, until observations show that it is well" if found.verdict == "Unknown" and since else ""
    unseen = f"no observation {seen}" if stale else ""
    covered = f"labels of {last.coverage:.0%} of its predictions" if last is not None and last.coverage else ""
    return ProductionStatus(
        name=metric.name,
        verdict=found.verdict,
        value=last.value if last is not None else None,
        time=last.time if last is not None else None,
        baseline=found.baseline.value if found.baseline is not None else None,
        level=found.level,
        evidence=round(found.statistic / found.threshold, 3),
        degraded_since=since,
        confirmed=found.confirmed,
        stale=stale,
        message="; ".join(
            filter(None, (found.evidence, still, covered, unseen, missing if last is None or stale else ""))
        ),
    )
