"""One study as its viewers see it: read while somebody looks, its changes told to all of them.

Reads and documents are made in threads; everything else happens on the event loop.
"""

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from tuning_dashboard.stores import Stores
from tuning_report.document import changes, document
from tuning_report.importance import importances
from tuning_report.round_history import History, read
from tuning_store.exceptions import StoreError
from tuning_study.round import ResolvedRound

log = structlog.get_logger()

_PACE = 1.0  # seconds between two reads of a study that somebody looks at
_SHARE = 4  # a long history takes longer to read: at most a quarter of the time is spent on it
_KEPT = 50  # events, for a page that was cut off meanwhile
_GROWTH = 1.1  # importances are computed anew when there are a tenth more complete trials
_LATER = 1.0  # seconds: the page itself comes first
_WAITING = 100  # events that a viewer may be behind; then it starts over

Result = TypeVar("Result")
Fingerprint = tuple[str, int]
"""Of a trial: its state, and how many reports it has made."""


@dataclass(frozen=True)
class Event:
    """A server-sent event. `version` is that of the document which it leads to, None where it leads to none."""

    name: str
    data: str
    version: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """What a page starts from."""

    body: bytes
    """JSON: {version, document, importances}."""
    version: str


@dataclass(frozen=True)
class _Reading:
    """A history, and what it takes to notice what is new in a later one."""

    history: History
    trials: Sequence[Fingerprint]

    @property
    def head(self) -> tuple[Any, ...]:
        progress = replace(self.history.progress, counts_by_worker={})
        return progress, self.history.interrupted, tuple(self.history.failures), tuple(self.history.versions.items())


class Feed:
    """`heavy` is where importances are computed; they must not hold up reads."""

    def __init__(self, stores: Stores, study: str, threads: Executor, heavy: Executor) -> None:
        self._stores, self._study, self._threads, self._heavy = stores, study, threads, heavy
        self._epoch, self._count = secrets.token_hex(4), 0
        self._reading: _Reading | None = None
        self._document: tuple[str, str] | None = None  # of a version, as JSON
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._viewers: set[asyncio.Queue[Event]] = set()
        self._lock = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._computing: asyncio.Task[None] | None = None
        self._importances: tuple[int, str] | None = None  # of so many complete trials, as JSON
        self._away = False

    @property
    def watched(self) -> bool:
        return bool(self._viewers)

    async def snapshot(self) -> Snapshot:
        """The study as it is now. Raises UnknownRound, or another StoreError."""
        version, text = await self.read()
        if self._reading is not None:
            self._compute_importances(self._reading.history)
        known = self._importances[1] if self._importances else "null"
        return Snapshot(
            f'{{"version":{json.dumps(version)},"document":{text},"importances":{known}}}'.encode(), version
        )

    async def resolved(self) -> ResolvedRound:
        """What was asked. Raises as `snapshot` does."""
        async with self._lock:
            reading = self._reading or await self._refresh()
            return reading.history.resolved

    async def read(self) -> tuple[str, str]:
        """The version, and its document as JSON: kept for the page that asks next. Raises as `snapshot` does."""
        async with self._lock:
            reading = await self._refresh()
            if self._document is None or self._document[0] != self._version:
                self._document = (self._version, await self._in_thread(_document, reading.history))
            return self._document

    @asynccontextmanager
    async def events(self, since: str) -> AsyncIterator[asyncio.Queue[Event]]:
        """What happens from version `since` on. A version that is unknown, or too old, begins with a `reload`."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_WAITING)
        for event in self._missed(since):
            queue.put_nowait(event)
        if self._importances is not None:
            queue.put_nowait(_importances_event(self._importances[1]))
        self._viewers.add(queue)
        if self._following is None:
            self._following = asyncio.create_task(self._follow())
        try:
            yield queue
        finally:
            self._viewers.discard(queue)
            if not self._viewers:
                self.close()

    def close(self) -> None:
        """Stops reading."""
        for task in (self._following, self._computing):
            if task is not None:
                task.cancel()
        self._following = self._computing = None

    @property
    def _version(self) -> str:
        return f"{self._epoch}-{self._count}"

    def _missed(self, since: str) -> list[Event]:
        if since == self._version:
            return []
        versions = [event.version for event in self._events]
        first = f"{self._epoch}-{self._count - len(versions)}"
        if since == first:
            return list(self._events)
        return list(self._events)[versions.index(since) + 1 :] if since in versions else [Event("reload", "{}")]

    async def _follow(self) -> None:
        """Runs while there are viewers."""
        while True:
            began = time.monotonic()
            try:
                async with self._lock:
                    reading = await self._refresh()
                self._compute_importances(reading.history)
                self._set_away(None)
            except StoreError as error:
                self._set_away(str(error))
            except Exception:  # one study that cannot be read must not silence the page
                log.exception("the study cannot be read", study=self._study)
                self._set_away("the study cannot be read")
            await asyncio.sleep(max(_PACE, _SHARE * (time.monotonic() - began)))

    async def _refresh(self) -> _Reading:
        """Reads the study, and tells the viewers what is new."""
        before, now = self._reading, await self._in_thread(self._read)
        self._reading = now
        if before is None:
            return now
        numbers = _changed(before.trials, now.trials)
        if numbers is None:  # fewer trials than before: the store is another one
            self._epoch, self._count = secrets.token_hex(4), 0
            self._events.clear()
            self._tell(Event("reload", "{}"))
        elif numbers or before.head != now.head:
            told = await self._in_thread(_changes, now.history, numbers)
            self._count += 1
            event = Event("changes", f'{{"version":{json.dumps(self._version)},"document":{told}}}', self._version)
            self._events.append(event)
            self._tell(event)
        return now

    def _read(self) -> _Reading:
        with self._stores.holding(self._study) as store:
            history = read(store, self._study)
        return _Reading(history, [(trial.state.name, len(trial.intermediate_values)) for trial in history.trials])

    def _compute_importances(self, history: History) -> None:
        complete = len(history.complete)
        known = self._importances[0] if self._importances else -1
        over = history.progress.stop_reason is not None and not history.progress.counts.running
        due = known < 0 or complete >= max(known + 1, known * _GROWTH) or (over and complete != known)
        if not due or self._computing is not None:
            return

        async def compute() -> None:
            try:
                await asyncio.sleep(_LATER)
                told = await self._in_thread(lambda: json.dumps(importances(history)), threads=self._heavy)
                self._importances = (complete, told)
                self._tell(_importances_event(told))
            except Exception:  # a figure is never worth the page, whatever a library thinks of the data
                log.exception("importances cannot be computed", study=self._study)
                self._importances = (complete, "null")
            finally:
                self._computing = None

        self._computing = asyncio.create_task(compute())

    def _set_away(self, message: str | None) -> None:
        if message is None and self._away:
            self._tell(Event("back", "{}"))
        elif message is not None and not self._away:
            self._tell(Event("away", json.dumps({"message": message})))
        self._away = message is not None

    def _tell(self, event: Event) -> None:
        for queue in self._viewers:
            if not queue.full():
                queue.put_nowait(event)
                continue
            while not queue.empty():  # a viewer that does not keep up starts over
                queue.get_nowait()
            queue.put_nowait(Event("reload", "{}"))

    async def _in_thread(self, work: Callable[..., Result], *given: Any, threads: Executor | None = None) -> Result:
        return await asyncio.get_running_loop().run_in_executor(threads or self._threads, work, *given)


def _document(history: History) -> str:
    return json.dumps(document(history, datetime.now(UTC)), separators=(",", ":"))


def _changes(history: History, numbers: Sequence[int]) -> str:
    return json.dumps(changes(history, numbers, datetime.now(UTC)), separators=(",", ":"))


def _importances_event(told: str) -> Event:
    return Event("importances", f'{{"importances":{told}}}')


def _changed(before: Sequence[Fingerprint], now: Sequence[Fingerprint]) -> list[int] | None:
    """Numbers of the trials that are new or otherwise than before; None when some are gone."""
    if len(now) < len(before):
        return None
    known = [number for number, (was, is_) in enumerate(zip(before, now, strict=False)) if was != is_]
    return known + list(range(len(before), len(now)))
