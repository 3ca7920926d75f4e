"""Looks after what production tells: asks Prometheus for observations that are due, and wakes studies of which
something new was told. A task of the leading replica."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from tuning_operator import metrics
from tuning_operator.keepers.servers import Servers
from tuning_operator.observe.evidence import EvidenceCache, Watched
from tuning_operator.observe.new_evidence import new_evidence
from tuning_operator.stores import Stores
from tuning_prometheus.answer import Missing, Value
from tuning_prometheus.client import Prometheus
from tuning_store import production
from tuning_store.exceptions import StoreError
from tuning_store.production import Reading

log = structlog.get_logger()

_BETWEEN_LOOKS = 1.0  # seconds
_OVERLAP = timedelta(seconds=10)  # what was told at a moment may be committed so much later
_ASKED_AGAIN_AFTER = timedelta(seconds=30)  # a query that gave no observation; within a shorter window sooner
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_BETWEEN_TIDYINGS = 3600.0  # seconds
Key = tuple[str, str]  # uid of the study, and metric


class ProductionKeeper:
    """`wake` is told the uids of studies that are to be looked at now."""

    def __init__(
        self,
        servers: Servers,
        stores: Stores,
        evidence: EvidenceCache,
        wake: Callable[[Collection[str]], None],
    ) -> None:
        self._servers, self._stores, self._evidence, self._wake = servers, stores, evidence, wake
        self._seen = _LONG_AGO
        self._tidied_at = time.monotonic()
        self._last: dict[Key, Reading | None] = {}
        self._due: dict[Key, datetime] = {}
        self._asking: dict[Key, asyncio.Task[None]] = {}

    async def run(self) -> None:
        await _until_it_works(self._prepare)
        async with Prometheus() as prometheus:
            while True:
                try:
                    await asyncio.gather(self.tell_news(), self._ask_what_is_due(prometheus))
                    if time.monotonic() - self._tidied_at > _BETWEEN_TIDYINGS:
                        await self.tidy()
                except Exception as error:  # the next look may find it mended, and nobody else looks
                    log.error("production is not looked at", exc_info=error)
                await asyncio.sleep(_BETWEEN_LOOKS)

    async def _prepare(self) -> None:
        await self._stores.call(production.prepare, self._stores.admin_url)

    async def tell_news(self) -> None:
        """Wake the studies of which something was told since the last time."""
        try:
            told = await self._stores.call(production.changed, self._stores.admin_engine(), self._seen - _OVERLAP)
        except StoreError as error:
            log.warning("what production tells is not read", error=str(error))
            return
        self._seen = max([self._seen, *told.values()])
        if news := self._evidence.note(told):
            self._wake(news)

    async def tidy(self) -> None:
        """Drop observations that no judgement reads any more."""
        self._tidied_at = time.monotonic()
        since = self._evidence.judged_since()
        try:
            await self._stores.call(production.drop_unread, self._stores.admin_engine(), since)
        except StoreError as error:
            log.warning("old observations are not dropped", error=str(error))

    async def _ask_what_is_due(self, prometheus: Prometheus) -> None:
        watched = {
            (each.uid, each.metric.name): each
            for each in self._evidence.watched()
            if each.metric.source.prometheus is not None
        }
        try:
            await self._read_last({key[0] for key in watched if key not in self._last})
        except StoreError:
            return  # tell_news has told it
        self._last = {key: self._last.get(key) for key in watched}
        self._due = {key: due for key, due in self._due.items() if key in watched}
        now = datetime.now(UTC)
        for key, each in watched.items():
            if key not in self._asking and now >= self._due_at(key, each):
                self._asking[key] = asyncio.create_task(self._observe(key, each, prometheus, now))
                self._asking[key].add_done_callback(partial(self._asked, key))

    def _asked(self, key: Key, task: asyncio.Task[None]) -> None:
        del self._asking[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an observation failed", study=key[0], metric=key[1], exc_info=error)

    async def _read_last(self, uids: set[str]) -> None:
        if uids:
            self._last |= await self._stores.call(production.last_readings, self._stores.admin_engine(), uids)

    def _due_at(self, key: Key, watched: Watched) -> datetime:
        source, last = watched.metric.source.prometheus, self._last.get(key)
        assert source is not None  # only such metrics are watched
        after_last = last.observation.time + source.delay + source.window if last is not None else _LONG_AGO
        return max(after_last, self._due.get(key, _LONG_AGO))

    async def _observe(self, key: Key, watched: Watched, prometheus: Prometheus, now: datetime) -> None:
        """One observation, or the reason why there is none."""
        source = watched.metric.source.prometheus
        assert source is not None
        found = await self._reading(key, watched, prometheus, now - source.delay)
        if isinstance(found, Reading):
            engine = self._stores.admin_engine()
            try:
                await self._stores.call(production.add_observations, engine, self._stores.owner, [found])
            except StoreError as error:
                found = Missing("Unavailable", f"the store does not take it: {error}")
        metrics.asked_prometheus("Value" if isinstance(found, Reading) else found.outcome)
        missing = self._evidence.missing.setdefault(watched.uid, {})
        if isinstance(found, Reading):
            self._last[key] = found
            missing.pop(watched.metric.name, None)
            return
        self._due[key] = now + min(_ASKED_AGAIN_AFTER, source.window)
        missing[watched.metric.name] = found.reason

    async def _reading(self, key: Key, watched: Watched, prometheus: Prometheus, at: datetime) -> Reading | Missing:
        source = watched.metric.source.prometheus
        assert source is not None
        server, whose = await self._servers.of(watched.namespace, watched.server)
        if isinstance(server, Missing):
            return server
        value = await prometheus.query(server, source.query, at, whose)
        if isinstance(value, Missing):
            return value
        counter: Value | Missing | None = None
        if source.samples is not None:
            counter = await prometheus.query(server, source.samples, at, whose)
        if isinstance(counter, Missing):
            return Missing(counter.outcome, f"samples: {counter.reason}")
        told = counter.value if counter is not None else None
        found = new_evidence(self._last.get(key), value.value, told, at)
        if isinstance(found, Missing):
            return found
        return Reading(watched.uid, watched.namespace, watched.metric.name, found, told)


async def _until_it_works(attempt: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await attempt()
        except StoreError as error:
            log.warning("the tables of what production tells are not made yet", error=str(error))
            await asyncio.sleep(2)
