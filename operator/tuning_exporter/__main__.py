"""`python -m tuning_exporter`: the exporter's process."""

import asyncio
import os
import signal
import sys

import structlog
from aiohttp import web

from tuning_exporter.app import build_app
from tuning_exporter.scenes import Scenes
from tuning_operator import logs
from tuning_operator.cluster import Cluster
from tuning_operator.exceptions import InvalidSettings
from tuning_operator.settings import store_url

log = structlog.get_logger()


async def run(url: str, token: str, namespaces: list[str], port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Cluster() as cluster:
        runner = web.AppRunner(build_app(cluster, Scenes(cluster, url, namespaces), token), access_log=None)
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
        url, token = store_url(os.environ), os.environ.get("TUNING_TOKEN")
        if not token:
            raise InvalidSettings("the environment variable TUNING_TOKEN is not set")
    except InvalidSettings as error:
        log.error("the exporter cannot start", error=str(error))
        return 2
    namespaces = [name for name in os.environ.get("TUNING_WATCH_NAMESPACES", "").split(",") if name]
    port = int(os.environ.get("TUNING_PORT", "8080"))
    asyncio.run(run(url, token, namespaces, port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
