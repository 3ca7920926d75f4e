"""What production has told of studies, kept between looks: most have told nothing, and cost no statement.

The production keeper says of which studies something new was told; the observer asks at each look. Both keepers of
production ask here what is to be observed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tuning_operator.observe.observation import Study
from tuning_operator.observe.production import Production, drift_of, judged_since, standing
from tuning_operator.stores import Stores
from tuning_store.exceptions import StoreError
from tuning_store.features import KnownFeatures, read_features
from tuning_store.production import Evidence, read_evidence
from tuning_study.api.production import ProductionMetric, PrometheusServer
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import DriftStatus

_HOLDS = timedelta(hours=1)  # an alert that is repeated is no news, and yet goes on


@dataclass(frozen=True)
class Watched:
    """A metric of a study that the operator observes itself: by Prometheus, or by predictions."""

    namespace: str
    uid: str
    metric: ProductionMetric
    server: PrometheusServer | None


@dataclass(frozen=True)
class _Told:
    """What was read of a study, and judged once for many looks."""

    key: tuple[datetime, datetime, int]
    """When something new was told, since when it counts, and the manifest's generation."""
    read_at: datetime
    evidence: Evidence
    drift: DriftStatus | None


class EvidenceCache:
    """For all studies; used by the event loop alone."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._told: dict[str, datetime] | None = None  # by uid, when something new was told; None before anybody looked
        self._read: dict[str, _Told] = {}
        self._watched: dict[str, list[Watched]] = {}
        self.missing: dict[str, dict[str, str]] = {}
        """By uid and metric, why the last attempt to observe it gave no observation."""

    def note(self, told: Mapping[str, datetime]) -> list[str]:
        """Of these studies something was told at these moments. Returns those of which it is news."""
        known = self._told or {}
        news = [uid for uid, at in told.items() if known.get(uid) != at]
        self._told = known | dict(told)
        return news

    def watched(self) -> Iterable[Watched]:
        return [metric for metrics in self._watched.values() for metric in metrics]

    def judged_since(self) -> Mapping[str, datetime]:
        """By uid, of the studies of which something was read: the moment from which observations count."""
        return {uid: told.key[1] for uid, told in self._read.items()}

    def forget(self, uid: str) -> None:
        """The study is gone."""
        for known in (self._told or {}, self._read, self._watched, self.missing):
            known.pop(uid, None)

    async def production(self, study: Study, now: datetime) -> Production | None:
        """The model in production; None while nobody can know what was told of it."""
        spec = study.spec
        if spec is None or self._told is None:
            return None
        self._watched[study.uid] = _observed_here(study, spec)
        try:
            told = await self._told_of(study, spec, self._told.get(study.uid), now)
        except StoreError:
            return None
        return standing(spec, study.status, told.evidence, told.drift, self.missing.get(study.uid, {}), now)

    async def _told_of(self, study: Study, spec: TuningStudySpec, news: datetime | None, now: datetime) -> _Told:
        since = judged_since(study.status)
        if news is None:
            return _Told((since, since, study.generation), now, Evidence(), drift_of(spec, KnownFeatures()))
        known, key = self._read.get(study.uid), (news, since, study.generation)
        if known is None or known.key != key or now - known.read_at >= _HOLDS:
            engine, call = self._stores.admin_engine(), self._stores.call
            evidence = await call(read_evidence, engine, study.uid, observed_since=since)
            features = await call(read_features, engine, study.uid)
            self._read[study.uid] = known = _Told(key, now, evidence, drift_of(spec, features))
        return known


def _observed_here(study: Study, spec: TuningStudySpec) -> list[Watched]:
    if spec.production is None:
        return []
    return [
        Watched(study.namespace, study.uid, metric, spec.production.prometheus)
        for metric in spec.production.metrics
        if metric.source.push is None
    ]
