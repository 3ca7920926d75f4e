"""The studies of a cluster: their resources, and what the store keeps of their models in production."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tuning_dashboard.fleet import FleetUnavailable
from tuning_kube.client import Cluster
from tuning_kube.errors import ClusterError, Forbidden
from tuning_kube.frozen import frozen_until
from tuning_report.fleet.watched import WatchedStudy, watched_study
from tuning_store import features, production
from tuning_store.features import KnownFeatures
from tuning_store.production import Evidence
from tuning_store.tenants import TenantStores

_EVER = datetime.min.replace(tzinfo=UTC)


class ClusterFleet:
    """`namespaces` are those that are shown, all when empty. By sessions that may not write."""

    def __init__(self, cluster: Cluster, stores: TenantStores, namespaces: Sequence[str]) -> None:
        self._cluster, self._stores, self._namespaces = cluster, stores, namespaces

    async def studies(self) -> Sequence[WatchedStudy]:
        try:
            listed = await self._cluster.list_studies(self._namespaces)
        except Forbidden as error:
            raise FleetUnavailable(
                f"the dashboard may not list TuningStudies: {error}. The chart's `rbac.create` gives it that right;"
                " where you make roles yourself, let its service account `list` tuningstudies of tuning.dev"
            ) from error
        except ClusterError as error:
            raise FleetUnavailable(f"the cluster's studies cannot be read: {error}") from error
        return await asyncio.to_thread(lambda: [_read(body) for body in listed])  # a millisecond for each

    def told(self, study: WatchedStudy) -> tuple[Evidence, KnownFeatures]:
        engine = self._stores.engine
        evidence = production.read_evidence(engine, study.uid, observed_since=_EVER)
        return evidence, features.read_features(engine, study.uid)


def _read(body: Mapping[str, Any]) -> WatchedStudy:
    return watched_study(body, frozen_until(body["metadata"].get("annotations") or {}))
