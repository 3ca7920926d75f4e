"""`python -m tuning_operator`: the operator's process."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import optuna
import structlog
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_fixed

from tuning_kube import logs, names
from tuning_kube.client import JOBS, STUDIES, Cluster
from tuning_kube.errors import ClusterError, InvalidSettings, NotFound, Unavailable
from tuning_operator import handlers, lease, metrics
from tuning_operator.keepers.canary import CanaryKeeper
from tuning_operator.keepers.history import HistoryKeeper
from tuning_operator.keepers.logins import LoginKeeper
from tuning_operator.keepers.predictions import PredictionsKeeper
from tuning_operator.keepers.production import ProductionKeeper
from tuning_operator.keepers.servers import Servers
from tuning_operator.loops import Loops
from tuning_operator.observe.canaries import Canaries
from tuning_operator.observe.evidence import EvidenceCache
from tuning_operator.provision import Provisioner
from tuning_operator.reconcile import Reconciler
from tuning_operator.settings import Settings, from_environment
from tuning_operator.stores import Stores
from tuning_operator.web import serving

log = structlog.get_logger()
R = TypeVar("R")

_PATIENCE = 120.0  # seconds that a Secret may take to come; then the kubelet starts the container anew, and says so


async def run(settings: Settings) -> None:
    """Serve, watch, and reconcile while leading; until SIGTERM, or until the watch breaks for good."""
    loops, stop = Loops(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Cluster(metrics.wrote) as cluster, AsyncExitStack() as stack:
        watching = asyncio.create_task(_watch(settings, cluster, loops, stop))
        await stack.enter_async_context(serving(settings.port, healthy=lambda: not watching.done()))
        leading = asyncio.create_task(_lead_for_ever(settings, cluster, loops))
        await asyncio.wait([watching, leading], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        leading.cancel()
        with suppress(asyncio.CancelledError):
            await leading
        await loops.stop()
        await lease.release(cluster.api, settings)
        await watching


async def _watch(settings: Settings, cluster: Cluster, loops: Loops, stop: asyncio.Event) -> None:
    """With namespaces to watch, once studies are served: their kinds are then looked for at the start alone."""
    if settings.watch_namespaces:
        served = asyncio.create_task(_served(cluster, settings.watch_namespaces))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([served, stopped], return_when=asyncio.FIRST_COMPLETED)
        served.cancel()
        stopped.cancel()
    await handlers.watch(loops, settings.identity, settings.watch_namespaces, stop)


async def _served(cluster: Cluster, namespaces: Sequence[str]) -> None:
    while True:
        try:
            await cluster.list_metadata(STUDIES, namespaces[:1])
            return
        except (NotFound, Unavailable) as error:
            log.warning("TuningStudies are not served yet", error=str(error))
        except ClusterError:  # the rights are for those to judge that use them
            return
        await asyncio.sleep(2)


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
    owner = await _answered(cluster.identity)
    stores = Stores(settings.store_url, owner)
    provisioner = Provisioner(settings, cluster, stores)
    listing = partial(cluster.list_metadata, JOBS, settings.watch_namespaces, labelSelector=names.STUDY_LABEL)
    await loops.wait_for_jobs(await _answered(listing))
    evidence, canaries = EvidenceCache(stores), Canaries()
    loops.lead(Reconciler(settings, cluster, stores, provisioner, evidence, canaries))
    metrics.leading(True)
    log.info("leading", identity=settings.identity)
    history, logins = HistoryKeeper(settings, cluster, provisioner, owner), LoginKeeper(settings, cluster, provisioner)
    servers = Servers(settings.prometheus_url, cluster)
    production = ProductionKeeper(servers, stores, evidence, loops.wake)
    canary = CanaryKeeper(servers, stores, canaries, loops.wake)
    predictions = PredictionsKeeper(stores, evidence)
    await asyncio.gather(history.run(), logins.run(), production.run(), predictions.run(), canary.run())


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


def await_file(file: Path, seconds: float = _PATIENCE) -> bool:
    """Wait for a Secret's file that the kubelet still has to bring: what makes the Secret ran a moment ago."""
    waiting = Retrying(
        retry=retry_if_result(lambda there: not there),
        wait=wait_fixed(0.2),
        stop=stop_after_delay(seconds),
        before_sleep=lambda attempt: _tell_the_wait(file, attempt),
        retry_error_callback=lambda _: False,
    )
    return bool(waiting(file.exists))


def _tell_the_wait(file: Path, attempt: RetryCallState) -> None:
    if attempt.attempt_number % 50 == 1:  # at once, and every ten seconds
        log.info("waiting for the Secret with the store's URL", file=str(file))


def main() -> int:
    logs.configure()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        if file := os.environ.get("TUNING_STORE_URL_FILE"):
            await_file(Path(file))
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
