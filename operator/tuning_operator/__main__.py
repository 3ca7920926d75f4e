"""`python -m tuning_operator`: the operator's process."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import optuna
import structlog
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection

from tuning_operator import handlers, lease, logs, metrics, names
from tuning_operator.cluster import JOBS, Cluster
from tuning_operator.exceptions import ClusterError, InvalidSettings
from tuning_operator.history import HistoryKeeper
from tuning_operator.logins import LoginKeeper
from tuning_operator.loops import Loops
from tuning_operator.reconcile import Reconciler
from tuning_operator.settings import Settings, from_environment
from tuning_operator.stores import Stores
from tuning_operator.web import serving

log = structlog.get_logger()
R = TypeVar("R")


async def run(settings: Settings) -> None:
    """Serve, watch, and reconcile while leading; until SIGTERM, or until the watch breaks for good."""
    loops, stop = Loops(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    watching = asyncio.create_task(handlers.watch(loops, settings.identity, settings.watch_namespaces, stop))
    async with serving(settings.port, healthy=lambda: not watching.done()), Cluster(metrics.wrote) as cluster:
        leading = asyncio.create_task(_lead_for_ever(settings, cluster, loops))
        await asyncio.wait([watching, leading], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        leading.cancel()
        with suppress(asyncio.CancelledError):
            await leading
        await loops.stop()
        await lease.release(cluster.api, settings)
        await watching


async def _lead_for_ever(settings: Settings, cluster: Cluster, loops: Loops) -> None:
    while True:
        election = LeaderElection(
            Config(
                lease.lock(cluster.api, settings),
                lease.DURATION,
                lease.RENEW_WITHIN,
                lease.RETRY,
                onstarted_leading=lambda: _lead(settings, cluster, loops),
                onstopped_leading=lambda: _follow(loops),
            )
        )
        await election.run()


async def _lead(settings: Settings, cluster: Cluster, loops: Loops) -> None:
    stores = Stores(settings, cluster, await _answered(cluster.identity))
    listing = partial(cluster.list_metadata, JOBS, settings.watch_namespaces, labelSelector=names.STUDY_LABEL)
    await loops.wait_for_jobs(await _answered(listing))
    loops.lead(Reconciler(settings, cluster, stores))
    metrics.leading(True)
    log.info("leading", identity=settings.identity)
    await asyncio.gather(HistoryKeeper(settings, cluster, stores).run(), LoginKeeper(settings, cluster, stores).run())


async def _follow(loops: Loops) -> None:
    metrics.leading(False)
    log.warning("the Lease is lost")
    await loops.stop()


async def _answered(ask: Callable[[], Awaitable[R]]) -> R:
    while True:
        try:
            return await ask()
        except ClusterError as error:
            log.warning("the API server does not answer yet", error=str(error))
            await asyncio.sleep(1)


def main() -> int:
    logs.configure()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        settings = from_environment()
    except InvalidSettings as error:
        log.error("the operator cannot start", error=str(error))
        return 2
    # What was imported stays: a collection that looks at it all again and again costs more than a thousand studies.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    asyncio.run(run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
