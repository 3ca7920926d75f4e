"""The progress of rounds behind one URL, read for all studies that ask at the same time by one statement."""

import asyncio
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from sqlalchemy import Engine, create_engine

from tuning_store.postgres.progress import read_some
from tuning_store.urls import driver_url, engine_arguments
from tuning_store.values import Progress, RoundKey

_ASKED_WITHIN = 1.5  # seconds: a round not asked for within this time is left out of the batch
_REFRESH_AFTER = 0.35  # seconds: older entries are refreshed when a batch runs anyway


class ProgressCache:
    """Of the rounds that are asked for. Used by the event loop alone; the statements run in a thread of its own."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(driver_url(url), **engine_arguments(url))
        self._asked: dict[RoundKey, float] = {}  # when last; this and the next by the monotonic clock
        self._found: dict[RoundKey, tuple[float, Progress | None]] = {}  # and when that was read
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "progress")  # its own, so that it waits behind nobody's start of a round

    async def progress(self, key: RoundKey, not_before: float) -> Progress | None:
        """The round as it was at the monotonic time `not_before` or later. Raises StoreError."""
        self._asked[key] = time.monotonic()
        async with self._lock:
            if key not in self._found or self._found[key][0] < not_before:
                await self._read(key)
            return self._found[key][1]

    async def _read(self, key: RoundKey) -> None:
        """`key`, and with it those that are asked for so often that they will be next."""
        now = time.monotonic()
        self._asked = {other: at for other, at in self._asked.items() if now - at < _ASKED_WITHIN}
        self._found = {other: self._found[other] for other in self._asked if other in self._found}
        old = {
            other for other in self._asked if other not in self._found or now - self._found[other][0] > _REFRESH_AFTER
        }
        wanted: dict[str | None, list[str]] = defaultdict(list)
        for where, study in old | {key}:
            wanted[where].append(study)
        read = partial(read_some, self.engine, wanted)
        found = await asyncio.get_running_loop().run_in_executor(self._thread, read)
        self._found |= {other: (now, found.get(other)) for other in old | {key}}

    def close(self) -> None:
        """End its connections and its thread, once what they do is done."""
        self._thread.shutdown(wait=False)
        self.engine.dispose()
