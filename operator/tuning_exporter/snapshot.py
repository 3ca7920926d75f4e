"""Reads studies and the store for one scrape; serves the last snapshot of whichever does not answer."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Engine, create_engine

from tuning_exporter import metrics
from tuning_exporter.families.study import Snapshot
from tuning_kube.client import Cluster
from tuning_kube.errors import ClusterError
from tuning_store import tenants
from tuning_store.exceptions import StoreError
from tuning_store.postgres.durations import read_durations
from tuning_store.postgres.progress import read_all
from tuning_store.urls import driver_url, engine_arguments
from tuning_store.values import Durations, Progress, RoundKey

log = structlog.get_logger()

_FRESH = 3.0  # seconds: two Prometheus replicas that scrape together cost one reading


class SnapshotReader:
    def __init__(self, cluster: Cluster, url: str, namespaces: Sequence[str]) -> None:
        self._cluster, self._namespaces = cluster, namespaces
        self.engine: Engine = create_engine(driver_url(url), **engine_arguments(url))
        self._owner = ""
        self._snapshot = Snapshot()
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def current(self) -> Snapshot:
        async with self._lock:
            if time.monotonic() - self._read_at > _FRESH:
                self._snapshot = await self._read()
                self._read_at = time.monotonic()
        return self._snapshot

    async def owner(self) -> str:
        """The cluster, by which the store tells whose something is. Raises ClusterError."""
        self._owner = self._owner or await self._cluster.identity()
        return self._owner

    async def _read(self) -> Snapshot:
        studies, owner = self._snapshot.studies, self._owner
        try:
            owner = await self.owner()
            studies = await self._cluster.list_studies(self._namespaces)
        except ClusterError as error:
            log.warning("studies are told as they were", error=str(error))
        try:
            found, durations = await asyncio.to_thread(self._read_store)
        except StoreError as error:
            log.warning("the store does not answer", error=str(error))
            return replace(self._snapshot, studies=studies, owner=owner, store_up=False)
        return Snapshot(studies, owner, found, durations)

    @metrics.store_operation()
    def _read_store(self) -> tuple[Mapping[RoundKey, Progress], Mapping[RoundKey, Durations]]:
        return tenants.in_all(
            self.engine,
            lambda schemas: (read_all(self.engine, schemas), read_durations(self.engine, schemas)),
        )
