"""The databases that hold studies, as the operator uses them: connections, threads, and what is cached of them."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from sqlalchemy import Engine

from tuning_operator.stores.location import Location
from tuning_operator.stores.pool import StorePool
from tuning_operator.stores.progress_cache import ProgressCache
from tuning_store.sql.claims import SqlClaims
from tuning_store.sql.readers import SqlReadings
from tuning_store.sql.rounds import SqlRounds

__all__ = ["Location", "Stores"]

R = TypeVar("R")


class Stores:
    """By the URL of their database. `owner` is the cluster, by which a round tells whose it is."""

    def __init__(self, admin_url: str, owner: str) -> None:
        self.admin_url, self.owner = admin_url, owner
        self.open = StorePool()
        self._caches: dict[str, ProgressCache] = {}
        self._threads = ThreadPoolExecutor(4, "store")

    def progress(self, location: Location) -> ProgressCache:
        return self._cache(location.url)

    def readings(self, location: Location) -> SqlReadings:
        return SqlReadings(self._engine(location))

    def rounds(self, location: Location) -> SqlRounds:
        return SqlRounds(self._engine(location))

    def claims(self, location: Location) -> SqlClaims:
        return SqlClaims(self._engine(location))

    def admin_engine(self) -> Engine:
        return self._cache(self.admin_url).engine

    async def call(self, function: Callable[..., R], *args: object, **kwargs: object) -> R:
        """Run a blocking store function beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args, **kwargs))

    def close_all_but(self, urls: Collection[str]) -> None:
        """A new password makes a new URL, and what is kept for the old one serves nobody any more."""
        for url in self._caches.keys() - {self.admin_url, *urls}:
            self._caches.pop(url).close()

    def _engine(self, location: Location) -> Engine:
        """The cache's connections, with the schema in every statement: what SQLAlchemy compiles serves all of them."""
        return self._cache(location.url).engine.execution_options(schema_translate_map={None: location.schema})

    def _cache(self, url: str) -> ProgressCache:
        if url not in self._caches:
            self._caches[url] = ProgressCache(url)
        return self._caches[url]
