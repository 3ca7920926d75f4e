"""Runs the dashboard until it is told to stop: on this machine for `tuning dashboard`, and in a cluster."""

import asyncio
import signal
import socket
from collections.abc import Callable
from functools import partial

from aiohttp import web

from tuning_dashboard.app import ReadLog, build_app
from tuning_dashboard.guards import only_for
from tuning_dashboard.stores import OneStore
from tuning_store.store import Store

ADDRESS = "127.0.0.1"


def bind(port: int) -> socket.socket:
    """A socket of this machine alone; port 0 is any that is free. Raises OSError where it is taken."""
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((ADDRESS, port))
    except BaseException:
        listening.close()
        raise
    return listening


def serve(
    store: Store, listening: socket.socket, ready: Callable[[str], None], read_log: ReadLog | None = None
) -> None:
    """Serves until SIGINT or SIGTERM. `ready` is called with the URL once the server answers."""
    port = listening.getsockname()[1]
    here = only_for({f"{ADDRESS}:{port}", f"localhost:{port}"})
    app = build_app(OneStore(store), guards=[here], read_log=read_log)
    told = partial(ready, f"http://{ADDRESS}:{port}/")
    asyncio.run(run_until_told(app, lambda runner: web.SockSite(runner, listening), told))


async def run_until_told(
    app: web.Application, site: Callable[[web.AppRunner], web.BaseSite], ready: Callable[[], None]
) -> None:
    """Serves at the site until SIGINT or SIGTERM. `ready` is called once the server answers."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await site(runner).start()
        ready()
        await stop.wait()
    finally:
        await runner.cleanup()
