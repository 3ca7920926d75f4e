"""`python -m tuning_dashboard`: the dashboard's process in a cluster, with all its namespaces. The chart starts it."""

import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web

from tuning_dashboard.app import build_app
from tuning_dashboard.cluster import ClusterFleet
from tuning_dashboard.guards import HEALTH, with_token
from tuning_dashboard.serve import run_until_told
from tuning_kube import environment, logs
from tuning_kube.client import Cluster
from tuning_kube.errors import ClusterError, InvalidSettings
from tuning_store.exceptions import StoreError
from tuning_store.tenants import TenantStores

log = structlog.get_logger()

_PAUSE = 2.0  # seconds between two tries to learn the cluster's identity


async def run(url: str, token_file: Path | None, namespaces: Sequence[str], port: int) -> None:
    """Without a token's file whoever reaches the port is let in: an ingress has asked them already."""
    async with Cluster() as cluster:
        stores = TenantStores(url, await _identity(cluster), namespaces)
        guards = [with_token(partial(current_token, token_file))] if token_file else []
        app = build_app(stores, guards=guards, fleet=ClusterFleet(cluster, stores, namespaces))
        app.router.add_get(HEALTH, _alive)
        told = partial(log.info, "serving", port=port, authentication="token" if token_file else "none")
        try:
            await run_until_told(app, lambda runner: web.TCPSite(runner, port=port), told)
        finally:
            stores.close()


async def _identity(cluster: Cluster) -> str:
    """The cluster's, whose studies these are: several clusters may share a server."""
    while True:
        try:
            return await cluster.identity()
        except ClusterError as error:
            log.warning("the API server does not answer", error=str(error))
            await asyncio.sleep(_PAUSE)


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def current_token(file: Path) -> str | None:
    """None where it cannot be read."""
    try:
        return environment.token(file)
    except InvalidSettings as error:
        log.error("nobody can be let in", error=str(error))
        return None


def main() -> int:
    logs.configure()
    try:
        url = environment.store_url(os.environ)
        file = os.environ.get("TUNING_TOKEN_FILE")
        token_file = Path(file) if file else None
        if token_file:
            environment.token(token_file)  # told now, rather than to the first who comes
        namespaces, port = environment.watch_namespaces(os.environ), environment.port(os.environ)
    except (InvalidSettings, StoreError) as error:
        log.error("the dashboard cannot start", error=str(error))
        return 2
    asyncio.run(run(url, token_file, namespaces, port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
