"""What stands between the programs and the servers they need, so that a test may come between: nothing in production
code knows of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from aiohttp import web

from integration.harness import ControlPlane
from integration.harness.control_plane import _free_ports

T = TypeVar("T")
_LINE_LIMIT = 4 * 2**20
_OWN = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "content-encoding"}


class _Threaded:
    """An event loop in a thread of its own; enter it to serve."""

    def __init__(self) -> None:
        (self.port,) = _free_ports(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(30)

    async def _open(self) -> None:
        raise NotImplementedError

    async def _close(self) -> None:
        raise NotImplementedError


class TcpProxy(_Threaded):
    """A port that leads to another one, which may change: what a Service is in front of a database."""

    def __init__(self, target: int) -> None:
        super().__init__()
        self.target = target
        self._pipes: set[asyncio.Task[None]] = set()

    def leading(self, url: str) -> str:
        """`url` with this port instead of its own."""
        return re.sub(r":\d+/", f":{self.port}/", url)

    def lead_to(self, port: int) -> None:
        """Cut what there is; who comes back is led to `port`."""
        self.target = port
        self.cut()

    def cut(self) -> None:
        """Every connection breaks now."""

        async def act() -> None:
            for pipe in self._pipes:
                pipe.cancel()

        self._run(act())

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _close(self) -> None:
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close in the loop's next turn

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = asyncio.current_task()
        assert pipe is not None
        self._pipes.add(pipe)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.target)
                try:
                    await _first_of(_copy(reader, inner_writer), _copy(inner_reader, writer))
                finally:
                    inner_writer.transport.abort()
        finally:
            writer.transport.abort()
            self._pipes.discard(pipe)


@dataclass
class Call:
    """One request of the operator. `what` reads as `PATCH jobs/quick-r1`."""

    number: int
    method: str
    path: str
    watch: bool

    @property
    def what(self) -> str:
        return f"{self.method} {'/'.join(self.path.split('/')[-2:])}"

    @property
    def own(self) -> bool:
        """Whether it is one of tuning_kube.client, rather than of kopf's watches or of the Lease."""
        return not self.watch and "/leases" not in self.path and "?" not in self.path


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status, "message": "injected"}
        return web.json_response(body, status=self.status, headers=self.headers)


class Hangup(Exception):
    """The client gets no answer."""


class ApiProxy(_Threaded):
    """Between the operator and the API server: counts calls, and does to them what a test says.

    `before` may answer a call itself, or raise Hangup so that it never arrives; `after` may raise Hangup once the API
    server has carried it out.
    """

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"
        self.calls: list[Call] = []
        self._plane = plane
        self._numbers = itertools.count(1)
        self._watches: set[asyncio.Task[Any]] = set()
        self._flowing = asyncio.Event()
        self.heal()

    def heal(self) -> None:
        """Pass everything on, from now."""
        self.before: Callable[[Call], Answer | None] = lambda _: None
        self.after: Callable[[Call], None] = lambda _: None
        self.watch_delay = 0.0

    def restart_counting(self) -> None:
        self._numbers = itertools.count(1)
        self.calls.clear()

    def drop_watches(self) -> None:
        """Break every open watch."""

        async def act() -> None:
            for watch in self._watches:
                watch.cancel()

        self._run(act())

    @contextlib.contextmanager
    def silent_watches(self) -> Iterator[None]:
        """What watches there are stay open and say nothing ever again, as behind a router that forgot them."""

        async def stop() -> None:
            self._flowing.clear()

        async def go_on() -> None:
            self._flowing = asyncio.Event()  # those that wait for the old one wait for ever
            self._flowing.set()

        self._run(stop())
        yield
        self._run(go_on())

    async def _open(self) -> None:
        self._flowing.set()
        context = ssl.create_default_context(cafile=str(self._plane.ca))
        self._session = aiohttp.ClientSession(
            self._plane.url,
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            read_bufsize=_LINE_LIMIT,
            timeout=aiohttp.ClientTimeout(total=None),
        )
        app = web.Application(client_max_size=_LINE_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def _close(self) -> None:
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(0.25)  # aiohttp ends its TLS connections in the background

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        watch = "watch" in request.query
        call = Call(0, request.method, request.path, watch)
        if call.own and request.headers.get("User-Agent", "").startswith("kopf"):
            call.watch = True  # its lists are the beginning of its watches
        if call.own:
            call.number = next(self._numbers)
            self.calls.append(call)
        try:
            answer = self.before(call)
            if answer is not None:
                return answer.response()
            if watch:
                return await self._stream(request)
            response = await self._pass_on(request)
            self.after(call)
            return response
        except (Hangup, aiohttp.ClientError, OSError):
            _hang_up(request)
            return web.Response(status=503)

    async def _pass_on(self, request: web.Request) -> web.Response:
        async with self._session.request(
            request.method, request.rel_url, headers=_forwarded(request), data=await request.read() or None
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        flowing, response = self._flowing, web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            async with self._session.get(request.rel_url, headers=_forwarded(request)) as answer:
                response.set_status(answer.status)
                await response.prepare(request)
                lines: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
                reading = asyncio.create_task(_read(answer, lines))
                try:
                    while line := await _due(lines, self):
                        await flowing.wait()
                        await response.write(line)
                finally:
                    reading.cancel()
            await response.write_eof()
        except asyncio.CancelledError:
            _hang_up(request)
        finally:
            self._watches.discard(task)
        return response


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _forwarded(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.lower() not in _OWN}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(answer: aiohttp.ClientResponse, lines: asyncio.Queue[tuple[float, bytes]]) -> None:
    clock = asyncio.get_running_loop().time
    try:
        async for line in answer.content:
            lines.put_nowait((clock(), line))
    finally:
        lines.put_nowait((clock(), b""))


async def _due(lines: asyncio.Queue[tuple[float, bytes]], proxy: ApiProxy) -> bytes:
    """The next line, once it is as old as the test wants; empty at the end."""
    came, line = await lines.get()
    await asyncio.sleep(came + proxy.watch_delay - asyncio.get_running_loop().time())
    return line
