"""Reads what a scrape tells. The last good answer stands in for an API server or a store that is away."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from prometheus_client import Histogram
from sqlalchemy import Engine, create_engine

from tuning_exporter.families import Scene
from tuning_operator.cluster import Cluster
from tuning_operator.exceptions import ClusterError
from tuning_store import progress, tenants
from tuning_store.durations import Durations, read_durations
from tuning_store.exceptions import StoreError
from tuning_store.progress import Place, Progress
from tuning_store.urls import driver_url, engine_arguments

log = structlog.get_logger()

_FRESH = 3.0  # seconds: two Prometheus replicas that scrape together cost one reading
_operations = Histogram("tuning_store_operation_duration_seconds", "The exporter's statements in the store.")


class Scenes:
    def __init__(self, cluster: Cluster, url: str, namespaces: Sequence[str]) -> None:
        self._cluster, self._namespaces = cluster, namespaces
        self._engine: Engine = create_engine(driver_url(url), **engine_arguments(url))
        self._scene = Scene()
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def current(self) -> Scene:
        async with self._lock:
            if time.monotonic() - self._read_at > _FRESH:
                self._scene = await self._read()
                self._read_at = time.monotonic()
        return self._scene

    async def _read(self) -> Scene:
        studies, owner = self._scene.studies, self._scene.owner
        try:
            owner = owner or await self._cluster.identity()
            studies = await self._cluster.list_studies(self._namespaces)
        except ClusterError as error:
            log.warning("studies are told as they were", error=str(error))
        try:
            found, durations = await asyncio.to_thread(self._read_store)
        except StoreError as error:
            log.warning("the store does not answer", error=str(error))
            return replace(self._scene, studies=studies, owner=owner, store_up=False)
        return Scene(studies, owner, found, durations)

    @_operations.time()
    def _read_store(self) -> tuple[Mapping[Place, Progress], Mapping[Place, Durations]]:
        return tenants.in_all(
            self._engine,
            lambda schemas: (progress.read_all(self._engine, schemas), read_durations(self._engine, schemas)),
        )
