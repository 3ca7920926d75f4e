"""Stores that stay open between the starts of rounds: to open one costs more than to start a round."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from tuning_operator.stores.location import Location
from tuning_store.store import Store, open_store

R = TypeVar("R")
_CLOSE_AFTER = 10.0  # seconds without use
_MAX_OPEN = 24  # stores, each with a connection


class StorePool:
    def __init__(self) -> None:
        self._idle: dict[Location, tuple[Store, float]] = {}  # the one used last is last, with its moment
        self._turns: dict[Location, asyncio.Lock] = {}  # while somebody has one, or waits for it
        self._waiting: Counter[Location] = Counter()
        # Few threads: Python runs one at a time, and the event loop waits for each that has work.
        self._threads = ThreadPoolExecutor(2, "starts")

    async def call(self, location: Location, function: Callable[[Store], R]) -> R:
        """Run a blocking function of the store; one at a time in each, so that one connection is enough."""
        loop = asyncio.get_running_loop()
        async with self._turn(location):
            store, _ = self._idle.pop(location, (None, 0.0))
            if store is None:
                opening = partial(open_store, location.url, schema=location.schema)
                store = await loop.run_in_executor(self._threads, opening)
            try:
                return await loop.run_in_executor(self._threads, function, store)
            finally:
                self._idle[location] = store, time.monotonic()
                loop.call_later(_CLOSE_AFTER, self._close_idle)
                self._close_idle()

    @asynccontextmanager
    async def _turn(self, location: Location) -> AsyncIterator[None]:
        turn = self._turns.setdefault(location, asyncio.Lock())
        self._waiting[location] += 1
        try:
            async with turn:
                yield
        finally:
            self._waiting[location] -= 1
            if not self._waiting[location]:
                del self._waiting[location], self._turns[location]

    def _close_idle(self) -> None:
        until = time.monotonic() - _CLOSE_AFTER
        for location, (store, used) in list(self._idle.items()):
            if used <= until or len(self._idle) > _MAX_OPEN:
                del self._idle[location]
                self._threads.submit(store.close)
