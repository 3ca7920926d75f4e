"""`python -m tuning_exporter`: the exporter's process."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web

from tuning_exporter.app import build_app
from tuning_exporter.snapshot import SnapshotReader
from tuning_exporter.studies import StudyIndex
from tuning_kube import environment, logs
from tuning_kube.client import Cluster
from tuning_kube.errors import InvalidSettings

log = structlog.get_logger()


async def run(url: str, token: Callable[[], str], namespaces: Sequence[str], port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Cluster() as cluster:
        snapshots, studies = SnapshotReader(cluster, url, namespaces), StudyIndex(cluster, namespaces)
        app = build_app(cluster, snapshots, studies, snapshots.engine, token)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, port=port).start()
            log.info("exporting", port=port)
            await stop.wait()
        finally:
            await runner.cleanup()


def main() -> int:
    logs.configure()
    try:
        url = environment.store_url(os.environ)
        token = partial(environment.token, Path(environment.required(os.environ, "TUNING_TOKEN_FILE")))
        token()  # told now, rather than to the first alert
        namespaces, port = environment.watch_namespaces(os.environ), environment.port(os.environ)
    except InvalidSettings as error:
        log.error("the exporter cannot start", error=str(error))
        return 2
    asyncio.run(run(url, token, namespaces, port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
