"""Looks at the counters of every canary and of what it is compared with, asked for or sent, and keeps what they come
to. A task of the leading replica, beside the production keeper, which it never holds up."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import structlog

from tuning_operator.keepers.servers import Servers
from tuning_operator.observe.canaries import Canaries, ServingCanary
from tuning_operator.stores import Stores
from tuning_prometheus.answer import Missing, Value
from tuning_prometheus.canary import look
from tuning_prometheus.client import Prometheus
from tuning_store.canaries import keep_state, read_state
from tuning_store.canary_counts import Count, forget_counts, read_counts
from tuning_store.exceptions import StoreError
from tuning_store.features import Place
from tuning_study.promotion.canary.analysis import CanaryState, begin, look_interval, observe
from tuning_study.promotion.canary.looks import Counters, Sides, Unread

log = structlog.get_logger()

_BETWEEN_LOOKS = 0.5  # seconds


class CanaryKeeper:
    """`wake` is told the uids of studies of whose canary something new is known."""

    def __init__(
        self, servers: Servers, stores: Stores, canaries: Canaries, wake: Callable[[Collection[str]], None]
    ) -> None:
        self._servers, self._stores, self._canaries, self._wake = servers, stores, canaries, wake
        self._looking: dict[str, asyncio.Task[None]] = {}  # by uid of the canary's Deployment

    async def run(self) -> None:
        async with Prometheus() as prometheus:
            while True:
                now = datetime.now(UTC)
                for each in self._canaries.serving():
                    if each.deployment not in self._looking and self._is_due(each, now):
                        task = asyncio.create_task(self.look_at(each, prometheus, now))
                        self._looking[each.deployment] = task
                        task.add_done_callback(partial(self._looked, each))
                await asyncio.sleep(_BETWEEN_LOOKS)

    def _is_due(self, each: ServingCanary, now: datetime) -> bool:
        state = self._canaries.state_of(each)
        return state is None or state.looked is None or now - state.looked >= look_interval(each.canary)

    def _looked(self, each: ServingCanary, task: asyncio.Task[None]) -> None:
        del self._looking[each.deployment]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a look at a canary failed", namespace=each.namespace, study=each.study, exc_info=error)

    async def look_at(self, each: ServingCanary, prometheus: Prometheus, now: datetime) -> None:
        """One look. What cannot be kept is not judged either: the next look covers its time, too."""
        try:
            before = await self._state(each, now)
            ask = partial(self._ask, each, prometheus)
            seen = await look(ask, each.canary, each.matchers, now, each.ready)
            after = observe(each.canary, before, replace(seen, metrics={**seen.metrics, **await self._pushed(each)}))
            place = Place(self._stores.owner, each.namespace, each.study)
            await self._stores.call(keep_state, self._stores.admin_engine(), place, each.deployment, after)
        except StoreError as error:
            log.warning("a look at a canary is not kept", namespace=each.namespace, study=each.study, error=str(error))
            await asyncio.sleep(look_interval(each.canary).total_seconds())
            return
        self._canaries.keep(each, after)
        self._wake([each.study])

    async def _state(self, each: ServingCanary, now: datetime) -> CanaryState:
        known = self._canaries.state_of(each)
        if known is not None:
            return known
        kept = await self._stores.call(read_state, self._stores.admin_engine(), each.study, each.deployment)
        if kept is None and each.canary.pushed:
            await self._stores.call(forget_counts, self._stores.admin_engine(), each.study)
        return kept or begin(each.canary, now)

    async def _pushed(self, each: ServingCanary) -> Mapping[str, Sides]:
        names = each.canary.pushed
        if not names:
            return {}
        known = await self._stores.call(read_counts, self._stores.admin_engine(), each.study)
        stable, canary = each.parameters.stable, each.parameters.canary
        return {name: Sides(_counters(known, stable, name), _counters(known, canary, name)) for name in names}

    async def _ask(self, each: ServingCanary, prometheus: Prometheus, query: str, at: datetime) -> Value | Missing:
        server, whose = await self._servers.of(each.namespace, each.server)
        return server if isinstance(server, Missing) else await prometheus.query(server, query, at, whose)


def _counters(known: Mapping[str, Mapping[str, Count]], parameters: str, metric: str) -> Counters:
    count = known.get(parameters, {}).get(metric)
    if count is None:
        nothing = Unread(f"nobody has sent counts of requests with {parameters}")
        return Counters(nothing, nothing)
    return Counters(count.bad, count.total)
