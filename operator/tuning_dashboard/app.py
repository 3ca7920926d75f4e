"""The dashboard's HTTP: the page and its files, studies as JSON, and what happens to them as server-sent events.

Nothing in it changes a study. Who may ask is for the middlewares of its callers to say: serve.py for one machine,
__main__.py for a cluster.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from html import escape
from typing import Any
from urllib.parse import quote

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tuning_dashboard.feed import Event, Feed
from tuning_dashboard.fleet import Fleet, FleetPage, FleetUnavailable, UnknownStudy
from tuning_dashboard.listing import Listing, Row
from tuning_dashboard.stores import Stores
from tuning_report import page
from tuning_store.exceptions import StoreError, UnknownRound
from tuning_study.round import ResolvedRound

log = structlog.get_logger()

_READERS = 4  # threads that read the store
_FEEDS = 32  # studies whose documents are kept; those that nobody looks at go first
_PACE = 1.0  # seconds between two reads of the list
_FLEET_PACE = 10.0  # seconds between two reads of the resources, of which nothing about production changes faster
_AS_IN_THE_BROWSER = "!~*'()"  # what encodeURIComponent leaves as it is
_LONGEST_LOG = 2000  # lines
_EXAMPLES = {
    "name": "the study: ?name=NAMESPACE/NAME/UID/rN",
    "trial": "the trial's number: &trial=3",
    "place": "the study: ?place=NAMESPACE/NAME",
}
_FIRST = 2.0  # seconds that the page waits for what it shows first
_SPLIT = "\x00"  # where the data go into the page
_PING = 15.0  # seconds; tells a page that is gone from one that is quiet
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

ReadLog = Callable[[ResolvedRound, int], Sequence[str]]
"""The lines that a trial, by its number, has written. Raises LookupError, with what a person may do, without any."""


def build_app(
    stores: Stores, *, guards: Sequence[Middleware] = (), read_log: ReadLog | None = None, fleet: Fleet | None = None
) -> web.Application:
    """`guards` come before everything. Without `read_log` the page says where to look for what trials have written;
    without a `fleet` there are no pages of studies in production."""
    app = web.Application(middlewares=[*guards, _errors_as_json])
    dashboard = _Dashboard(stores, read_log, FleetPage(fleet) if fleet is not None else None)
    app.router.add_get("/", dashboard.page)
    app.router.add_get("/study", dashboard.page)
    app.router.add_get("/compare", dashboard.page)
    app.router.add_get("/assets/{digest}/{name}", dashboard.asset)
    app.router.add_get("/api/studies", dashboard.studies)
    app.router.add_get("/api/study", dashboard.study)
    app.router.add_get("/api/events", dashboard.events)
    app.router.add_get("/api/log", dashboard.log)
    if fleet is not None:
        app.router.add_get("/fleet", dashboard.page)
        app.router.add_get("/fleet/study", dashboard.page)
        app.router.add_get("/api/fleet", dashboard.fleet)
        app.router.add_get("/api/fleet/study", dashboard.fleet_study)
        app.router.add_get("/api/fleet/over-time", dashboard.fleet_over_time)
        app.router.add_get("/api/fleet/events", dashboard.fleet_events)
    app.cleanup_ctx.append(dashboard.running)
    return app


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (UnknownRound, UnknownStudy) as error:
        return _json({"error": str(error)}, status=404)
    except FleetUnavailable as error:
        return _json({"error": str(error)}, status=503)
    except StoreError as error:
        return _json({"error": f"the store cannot be read: {error}"}, status=503)
    except (web.HTTPException, ConnectionError):  # the page was closed, or loaded anew, before it was whole
        raise
    except Exception:  # whatever stands in one study must not look like a broken server
        log.exception("cannot answer", path=request.path_qs)
        return _json({"error": "this study cannot be read; the dashboard's output says why"}, status=500)


class _Dashboard:
    def __init__(self, stores: Stores, read_log: ReadLog | None, fleet: FleetPage | None) -> None:
        self._stores, self._listing, self._read_log = stores, Listing(stores), read_log
        self._fleet = fleet
        self._listed = asyncio.Lock()
        self._list: tuple[float, list[Row]] | None = None  # when it was read, by the monotonic clock
        self._feeds: dict[str, Feed] = {}
        self._late: set[asyncio.Future[str]] = set()  # first answers that no page waits for any more
        self._stopping = asyncio.Event()
        digest = hashlib.sha256(b"".join(page.assets().values())).hexdigest()[:12]
        self._digest = digest
        modules = page.import_map({n: f"/assets/{digest}/{n}" for n in page.assets() if n.endswith(".js")})
        self._shell = partial(
            page.shell,
            title="tuning dashboard",
            modules=modules,
            style=f'<link rel="stylesheet" href="/assets/{digest}/page.css">',
            has_fleet=fleet is not None,
        )
        policy = page.content_policy(
            scripts=["'self'", *page.script_sources(modules)], styles=["'self'"], connect="'self'"
        )
        self._policy = f"{policy}; frame-ancestors 'none'"

    async def running(self, app: web.Application) -> AsyncIterator[None]:
        """The server's life: threads, and an end that lets no page wait."""
        self._threads = ThreadPoolExecutor(_READERS, "reader")
        self._heavy = ThreadPoolExecutor(1, "importances")
        app.on_shutdown.append(self._stop)
        first = asyncio.create_task(self._read_ahead())
        yield
        first.cancel()
        for feed in self._feeds.values():
            feed.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._heavy.shutdown(wait=False, cancel_futures=True)

    async def _read_ahead(self) -> None:
        """The list and the newest study, before a page asks for them: the first read of a store is the slow one."""
        with suppress(Exception):  # whatever it is, the page will be told
            if rows := await self._rows():
                await self._feed(rows[0]["study"]).read()

    async def _stop(self, _: web.Application) -> None:
        self._stopping.set()

    async def page(self, request: web.Request) -> web.StreamResponse:
        """In two parts: the browser loads the scripts while the data are read."""
        before, after = self._shell(preloads=_modules(self._digest), data=_SPLIT).split(_SPLIT)
        headers = {**HEADERS, "Content-Security-Policy": self._policy, "Cache-Control": "no-store"}
        headers["Content-Type"] = "text/html; charset=utf-8"
        if request.method == "HEAD":
            return web.Response(headers=headers)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(before.encode())
        study = request.query.get("name")
        answers = await self._first_answers(request.path, study, request.query.get("place"))
        late = _ahead(study) if study and _study_address(study) not in answers else ""
        await response.write((late + _data(answers) + after).encode())
        await response.write_eof()
        return response

    async def _first_answers(self, path: str, study: str | None, place: str | None) -> Mapping[str, str]:
        """What the page would ask for first, as JSON by its address; nothing where that takes long, or fails.

        With it the page is whole when it has loaded, and spared a round trip. The page asks again for what is missing.
        """
        if path == "/":
            wanted = {"/api/studies": _as_json(self._studies_document())}
        elif path == "/study" and study:
            wanted = {
                _study_address(study): self._study_json(study),
                "/api/studies": _as_json(self._studies_document()),
            }
        elif path == "/fleet" and self._fleet is not None:
            wanted = {"/api/fleet": _as_json(self._fleet.overview())}
        elif path == "/fleet/study" and self._fleet is not None and place:
            wanted = {
                f"/api/fleet/study?place={quote(place, safe=_AS_IN_THE_BROWSER)}": _as_json(self._fleet.study(place))
            }
        else:
            return {}
        tasks = {address: asyncio.ensure_future(answer) for address, answer in wanted.items()}
        _, late = await asyncio.wait(tasks.values(), timeout=_FIRST)
        for (
            task
        ) in late:  # it ends by itself: who reads in a thread cannot be stopped, and another must not begin beside it
            self._late.add(task)
            task.add_done_callback(self._forget)
        return {address: task.result() for address, task in tasks.items() if task not in late and not task.exception()}

    def _forget(self, task: asyncio.Future[str]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # the page asks again, and is told then

    async def _studies_document(self) -> Mapping[str, Any]:
        return {"studies": await self._rows()}

    async def _study_json(self, study: str) -> str:
        return (await self._feed(study).snapshot()).body.decode()

    async def asset(self, request: web.Request) -> web.Response:
        name, digest = request.match_info["name"], request.match_info["digest"]
        if digest != self._digest or name not in page.assets():
            raise web.HTTPNotFound(headers=HEADERS)
        headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(
            body=page.assets()[name], content_type=page.content_type(name), charset="utf-8", headers=headers
        )

    async def studies(self, _: web.Request) -> web.Response:
        return _json(await self._studies_document())

    async def study(self, request: web.Request) -> web.Response:
        snapshot = await self._feed(_asked(request, "name")).snapshot()
        headers = {**HEADERS, "Cache-Control": "no-store"}
        return web.Response(body=snapshot.body, content_type="application/json", headers=headers)

    async def fleet(self, _: web.Request) -> web.Response:
        return _json(await self._fleet_page.overview())

    async def fleet_study(self, request: web.Request) -> web.Response:
        return _json(await self._fleet_page.study(_asked(request, "place")))

    async def fleet_over_time(self, request: web.Request) -> web.Response:
        return _json(await self._fleet_page.over_time(_asked(request, "place")))

    async def fleet_events(self, request: web.Request) -> web.StreamResponse:
        """Of one study, or without a place of all."""
        fleet = self._fleet_page
        read = partial(fleet.study, _asked(request, "place")) if "place" in request.query else fleet.overview
        return await _stream(request, self._events_of_reading("fleet", read, _FLEET_PACE))

    @property
    def _fleet_page(self) -> FleetPage:
        assert self._fleet is not None, "its routes are there only with it"
        return self._fleet

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Of one study, or without a name of the list."""
        if "name" in request.query:
            feed = self._feed(_asked(request, "name"))
            return await _stream(request, self._events_of(feed, request.query.get("since", "")))
        return await _stream(request, self._events_of_reading("studies", self._studies_document, _PACE))

    async def log(self, request: web.Request) -> web.Response:
        """What a trial has written, the last part of it; a remark where there is nothing."""
        feed, number = self._feed(_asked(request, "name")), _asked(request, "trial")
        if not number.isdecimal():
            raise web.HTTPBadRequest(text=f"give {_EXAMPLES['trial']}\n", headers=HEADERS)
        resolved = await feed.resolved()
        if self._read_log is None:
            return _log([], f"Its output is where its worker runs: tuning logs {resolved.name} --trial {int(number)}")
        work = partial(self._read_log, resolved, int(number))
        try:
            lines = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except LookupError as error:
            return _log([], str(error))
        left_out = len(lines) - _LONGEST_LOG
        return _log(lines[-_LONGEST_LOG:], f"{left_out} lines before these are left out." if left_out > 0 else "")

    async def _events_of(self, feed: Feed, since: str) -> AsyncIterator[Event | None]:
        async with feed.events(since) as queue:
            while not self._stopping.is_set():
                yield await self._next(queue.get())

    async def _events_of_reading(
        self, name: str, read: Callable[[], Awaitable[Mapping[str, Any]]], pace: float
    ) -> AsyncIterator[Event | None]:
        """What is read, whenever it is another than before."""
        before: Mapping[str, Any] | None = None
        away, quiet = False, 0.0
        while not self._stopping.is_set():
            try:
                now = await read()
                if away:
                    yield Event("back", "{}")
                away = False
                if now != before:
                    yield Event(name, json.dumps(now))
                    before, quiet = now, 0.0
            except (StoreError, FleetUnavailable, UnknownStudy) as error:
                if not away:
                    yield Event("away", json.dumps({"message": str(error)}))
                away = True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pace)
            quiet += pace
            if quiet >= _PING:
                quiet = 0.0
                yield None

    async def _next(self, coming: Awaitable[Event]) -> Event | None:
        """None when it is time for a sign of life, or to stop."""
        event, stop = asyncio.ensure_future(coming), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({event, stop}, timeout=_PING, return_when=asyncio.FIRST_COMPLETED)
            return event.result() if event.done() else None
        finally:
            event.cancel()
            stop.cancel()

    async def _rows(self) -> list[Row]:
        """The list, read once for all who ask at the same time. Raises StoreError."""
        asked = time.monotonic()
        async with self._listed:
            if self._list is None or self._list[0] < asked:
                read_at = time.monotonic()
                rows = await asyncio.get_running_loop().run_in_executor(self._threads, self._listing.rows)
                self._list = read_at, rows
            return self._list[1]

    def _feed(self, study: str) -> Feed:
        feed = self._feeds.pop(study, None) or Feed(self._stores, study, self._threads, self._heavy)
        self._feeds[study] = feed  # last: the newest
        idle = [name for name, each in self._feeds.items() if not each.watched and name != study]
        for name in idle[: max(0, len(self._feeds) - _FEEDS)]:
            self._feeds.pop(name).close()
        return feed


async def _stream(request: web.Request, events: AsyncIterator[Event | None]) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            **HEADERS,
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # of an ingress on nginx, which would keep events back
        }
    )
    await response.prepare(request)
    with suppress(ConnectionResetError):  # the page was closed
        async for event in events:
            await response.write(_wire(event))
    return response


async def _as_json(answer: Awaitable[Mapping[str, Any]]) -> str:
    return json.dumps(await answer)


def _modules(digest: str) -> str:
    """Tells the browser at once of all that the page will load, which it would find one after the other."""
    scripts = (name for name in page.assets() if name.endswith(".js"))
    return "".join(f'<link rel="modulepreload" href="/assets/{digest}/{name}">' for name in scripts)


def _ahead(study: str) -> str:
    """Has the browser ask for the study before its scripts do."""
    return f'<link rel="preload" as="fetch" crossorigin="anonymous" href="{escape(_study_address(study))}">'


def _study_address(study: str) -> str:
    return f"/api/study?name={quote(study, safe=_AS_IN_THE_BROWSER)}"


def _data(answers: Mapping[str, str]) -> str:
    """For live.js: the first answers by their addresses."""
    entries = ",".join(f"{json.dumps(address)}:{answer}" for address, answer in answers.items())
    return f'<script type="application/json" id="first">{page.escaped(f"{{{entries}}}")}</script>'


def _asked(request: web.Request, name: str) -> str:
    if not request.query.get(name):
        raise web.HTTPBadRequest(text=f"give {_EXAMPLES[name]}\n", headers=HEADERS)
    return request.query[name]


def _log(lines: Sequence[str], remark: str) -> web.Response:
    return _json({"lines": lines, "remark": remark})


def _json(value: object, status: int = 200) -> web.Response:
    return web.json_response(value, status=status, headers={**HEADERS, "Cache-Control": "no-store"})


def _wire(event: Event | None) -> bytes:
    """As the stream has it; JSON has no line breaks of its own."""
    return b": still here\n\n" if event is None else f"event: {event.name}\ndata: {event.data}\n\n".encode()
