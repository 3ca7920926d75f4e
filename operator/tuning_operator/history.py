"""Drops the history of studies that are gone. No finalizer: a deletion never waits for the operator or the store."""

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta

import structlog

from tuning_operator.stores import Board, Stores
from tuning_store import rounds, tenants
from tuning_store.exceptions import StoreError
from tuning_store.progress import read
from tuning_store.storage import open_store

log = structlog.get_logger()

_PAUSE = timedelta(seconds=60)
_SEEN_TWICE = 2  # a round is dropped when its study was missing this often in a row


class HistoryKeeper:
    """Compares the operator's own PostgreSQL with the studies that exist, once a minute."""

    def __init__(self, admin_url: str, stores: Stores, living: Callable[[], Collection[str]]) -> None:
        self._url, self._stores, self._living = admin_url, stores, living
        self._missing: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE.total_seconds())
            try:
                await self.sweep()
            except StoreError as error:
                log.warning("history is not swept", error=str(error))

    async def sweep(self) -> list[str]:
        """Drop the rounds of this cluster whose study is gone and did not ask to retain them."""
        board: Board = self._stores.admin_board()
        schemas = await self._stores.call(tenants.schemas, board.engine)
        found = await self._stores.call(read, board.engine, schemas)
        living = set(self._living())
        orphans = {
            name: progress
            for name, progress in found.items()
            if progress.owner == self._stores.owner and not progress.retain and name.split("/")[2] not in living
        }
        self._missing = {name: self._missing.get(name, 0) + 1 for name in orphans}
        gone = [name for name, times in self._missing.items() if times >= _SEEN_TWICE]
        for name in gone:
            await self._stores.call(_drop, self._url, orphans[name].schema, name)
            log.info("history dropped", study=name)
        return gone


def _drop(url: str, schema: str | None, study: str) -> None:
    store = open_store(url, schema=schema)
    try:
        rounds.drop(store, study)
    finally:
        store.close()
