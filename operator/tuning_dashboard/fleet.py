"""The page of all studies in production: what it is told as JSON. Its pictures are tuning_report/page/fleet.js.

The dashboard's HTTP calls it. Who can read the resources is the program of a cluster alone; elsewhere there is no such
page.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from tuning_report.fleet.over_time import over_time
from tuning_report.fleet.rows import in_full, overview
from tuning_report.fleet.watched import WatchedStudy
from tuning_store.features import KnownFeatures
from tuning_store.production import Evidence

_FRESH = 5.0  # seconds: several pages cost one listing


class FleetUnavailable(Exception):
    """The cluster's studies cannot be read now; the message says why."""


class UnknownStudy(Exception):
    """The cluster has no such study, or none that may be shown."""


class Fleet(Protocol):
    """What the page reads."""

    async def studies(self) -> Sequence[WatchedStudy]:
        """All that may be shown. Raises FleetUnavailable."""
        ...

    def told(self, study: WatchedStudy) -> tuple[Evidence, KnownFeatures]:
        """What production has told of a study. For a thread. Raises StoreError."""
        ...


class FleetPage:
    """Raises FleetUnavailable, UnknownStudy and StoreError."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._lock = asyncio.Lock()
        self._listed: tuple[float, Sequence[WatchedStudy]] | None = None  # when, by the monotonic clock

    async def overview(self) -> Mapping[str, Any]:
        studies = await self._studies()
        return await asyncio.to_thread(overview, studies, datetime.now(UTC))

    async def study(self, place: str) -> Mapping[str, Any]:
        """One study in full. `place` is namespace/name."""
        return in_full(await self._study(place), datetime.now(UTC))

    async def over_time(self, place: str) -> Mapping[str, Any]:
        """Its observations and drift."""
        study = await self._study(place)
        return await asyncio.to_thread(self._read_over_time, study)

    def _read_over_time(self, study: WatchedStudy) -> Mapping[str, Any]:
        evidence, features = self._fleet.told(study)
        rule = study.production.drift if study.production is not None else None
        return over_time(evidence, features, rule)

    async def _study(self, place: str) -> WatchedStudy:
        for study in await self._studies():
            if f"{study.namespace}/{study.name}" == place:
                return study
        raise UnknownStudy(f"there is no study {place}")

    async def _studies(self) -> Sequence[WatchedStudy]:
        async with self._lock:
            now = time.monotonic()
            if self._listed is None or now - self._listed[0] > _FRESH:
                self._listed = (now, await self._fleet.studies())
            return self._listed[1]
