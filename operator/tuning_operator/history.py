"""Drops the history of studies that are gone. No finalizer: a deletion never waits for the operator or the store."""

import asyncio
from datetime import timedelta

import structlog

from tuning_operator.cluster import STUDIES, Cluster
from tuning_operator.exceptions import ClusterError
from tuning_operator.settings import Settings
from tuning_operator.stores import Board, Stores
from tuning_store import rounds, tenants
from tuning_store.exceptions import StoreError
from tuning_store.progress import Place, read_all
from tuning_store.storage import open_store

log = structlog.get_logger()

_PAUSE = timedelta(seconds=60)
_SEEN_TWICE = 2  # a round is dropped when its study was missing this often in a row


class HistoryKeeper:
    """Compares the operator's own PostgreSQL with the studies that exist, once a minute.

    Asks the API server, not the watch's cache, which may be empty for a while; and leaves namespaces alone that the
    operator does not watch, for it cannot know what lives there.
    """

    def __init__(self, settings: Settings, cluster: Cluster, stores: Stores) -> None:
        self._url, self._watched = settings.store_url, settings.watch_namespaces
        self._cluster, self._stores = cluster, stores
        self._missing: dict[Place, int] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE.total_seconds())
            try:
                await self.sweep()
            except (StoreError, ClusterError) as error:
                log.warning("history is not swept", error=str(error))

    async def sweep(self) -> list[Place]:
        """Drop the rounds of this cluster whose study is gone and did not ask to retain them."""
        board: Board = self._stores.admin_board()
        schemas = await self._stores.call(tenants.schemas, board.engine)
        found = await self._stores.call(read_all, board.engine, schemas)
        living = {study["uid"] for study in await self._cluster.list_metadata(STUDIES, self._watched)}
        orphans = [
            place
            for place, progress in found.items()
            if progress.owner == self._stores.owner and not progress.retain and self._is_orphan(place[1], living)
        ]
        self._missing = {place: self._missing.get(place, 0) + 1 for place in orphans}
        gone = [place for place, times in self._missing.items() if times >= _SEEN_TWICE]
        for schema, study in gone:
            await self._stores.call(_drop, self._url, schema, study)
            log.info("history dropped", study=study)
        return gone

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
