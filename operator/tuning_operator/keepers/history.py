"""Drops what studies and namespaces that are gone leave in PostgreSQL.

No finalizer: a deletion never waits for the operator or the store.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import create_engine

from tuning_kube.client import NAMESPACES, STUDIES, Cluster
from tuning_kube.errors import ClusterError
from tuning_operator.provision import Provisioner
from tuning_operator.settings import Settings
from tuning_store import production, record, rounds, tenants
from tuning_store.exceptions import StoreError
from tuning_store.postgres.progress import read_all
from tuning_store.store import open_store
from tuning_store.urls import driver_url, engine_arguments
from tuning_store.values import RoundKey

log = structlog.get_logger()
R = TypeVar("R")

_PAUSE = timedelta(seconds=60)
_SEEN_TWICE = 2  # a round is dropped when its study was missing this often in a row


class HistoryKeeper:
    """Compares the operator's own PostgreSQL with the studies and the namespaces that exist, once a minute.

    Asks the API server, not the watch's cache, which may be empty for a while; and leaves namespaces alone that the
    operator does not watch, for it cannot know what lives there.
    """

    def __init__(self, settings: Settings, cluster: Cluster, provisioner: Provisioner, owner: str) -> None:
        self._url, self._watched = settings.store_url, settings.watch_namespaces
        self._cluster, self._provisioner, self._owner = cluster, provisioner, owner
        self._missing: dict[RoundKey, int] = {}
        # Not the studies' own connections and threads: a cleanup may wait for locks.
        self._engine = create_engine(driver_url(self._url), **engine_arguments(self._url))
        self._thread = ThreadPoolExecutor(1, "history")

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE.total_seconds())
            await _surviving("history is not swept", self.sweep)
            await _surviving("what namespaces left is not dropped", self.sweep_namespaces)

    async def sweep(self) -> list[RoundKey]:
        """Drop the rounds of this cluster whose study is gone and did not ask to retain them.

        Tables that no study uses any more are brought up to date first: nothing else of the operator looks at them.
        """
        await self._call(tenants.upgrade, self._url, self._owner)
        found = await self._call(tenants.in_all, self._engine, partial(read_all, self._engine))
        living = {study["uid"] for study in await self._cluster.list_metadata(STUDIES, self._watched)}
        orphans = [
            place
            for place, progress in found.items()
            if progress.owner == self._owner and not progress.retain and self._is_orphan(place[1], living)
        ]
        self._missing = {place: self._missing.get(place, 0) + 1 for place in orphans}
        gone = [place for place, times in self._missing.items() if times >= _SEEN_TWICE]
        for schema, study in gone:
            await self._call(_drop, self._url, schema, study)
            log.info("history dropped", study=study)
        await self._call(self._forget_production, living)
        # A study's record goes with its rounds: what is retained keeps it, and so does a store of one's own.
        if gone:
            await self._call(record.forget, self._engine, {study.split("/")[2] for _, study in gone})
        return gone

    def _forget_production(self, living: set[str]) -> None:
        """What was told of studies that are gone."""
        known = production.known_studies(self._engine, self._owner, self._watched)
        production.forget(self._engine, known - living)

    async def sweep_namespaces(self) -> list[str]:
        """Drop the schema and the role of each namespace that an earlier look found gone too; returns the names.

        An operator that watches some namespaces only drops none: it may not ask which there are.
        """
        if self._watched:
            return []
        living = {found["name"]: found["uid"] for found in await self._cluster.list_metadata(NAMESPACES, ())}
        if self._owner not in living.values():
            log.warning("the API server lists no kube-system: no namespace is taken for gone")
            return []
        dropped = []
        for gone in await self._call(tenants.note_living, self._url, self._owner, living):
            namespace = gone.tenant.namespace
            self._provisioner.forget(namespace)  # so that one that comes back takes its place in the registry again
            if gone.since is None:
                continue
            kept = await self._call(tenants.drop, self._url, gone)
            if kept is None:
                dropped.append(namespace)
                schema = gone.tenant.schema  # the registry knows it no more
                log.info("a namespace is gone: its schema and role are dropped", namespace=namespace, schema=schema)
            elif kept != gone.kept:
                log.info("a namespace is gone: something of it is kept", namespace=namespace, kept=kept)
        return dropped

    async def _call(self, function: Callable[..., R], *args: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    def _is_orphan(self, study: str, living: set[str]) -> bool:
        match study.split("/"):
            case namespace, _, uid, _:
                pass
            case _:
                return False  # not a name of ours, whoever wrote it
        return uid not in living and (not self._watched or namespace in self._watched)


def _drop(url: str, schema: str | None, study: str) -> None:
    store = open_store(url, schema=schema)
    try:
        rounds.drop(store, study)
    finally:
        store.close()


async def _surviving(problem: str, look: Callable[[], Awaitable[object]]) -> None:
    try:
        await look()
    except Exception as error:  # the next look may find it mended, and nobody else looks
        log.warning(problem, error=str(error), exc_info=not isinstance(error, StoreError | ClusterError))
