"""Turns each window of predictions into an observation once it is closed, and drops what is of no use any more. A task
of the leading replica, beside the production keeper, which it never holds up."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import structlog

from tuning_operator.observe.evidence import EvidenceCache, Watched
from tuning_operator.stores import Stores
from tuning_store import predictions
from tuning_store.exceptions import StoreError
from tuning_store.production import Reading, add_observations, last_readings
from tuning_study.production.observation import Observation
from tuning_study.production.predictions import begin_of, closed_slots, kept_for, observed

log = structlog.get_logger()

_BETWEEN_LOOKS = 1.0  # seconds
_BETWEEN_TIDYINGS = 600.0  # seconds
_OVERLAP = timedelta(seconds=10)  # a label that came in time may be committed so much later
Key = tuple[str, str, timedelta]  # uid of the study, metric, and length of its windows


class PredictionsKeeper:
    """Only what is in the database decides: a window is observed once, whoever leads when it is closed."""

    def __init__(self, stores: Stores, evidence: EvidenceCache) -> None:
        self._stores, self._evidence = stores, evidence
        self._looked: dict[Key, datetime | None] = {}  # windows that begin before are done
        self._tidied_at = time.monotonic()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_BETWEEN_LOOKS)
            try:
                await self.close_windows(datetime.now(UTC))
                if time.monotonic() - self._tidied_at > _BETWEEN_TIDYINGS:
                    await self.tidy()
            except StoreError as error:
                log.warning("windows of predictions are not closed", error=str(error))
            except Exception as error:  # the next look may find it mended, and nobody else looks
                log.error("windows of predictions are not closed", exc_info=error)

    async def close_windows(self, now: datetime) -> None:
        """Raises StoreError; what was not closed then is closed by the next call."""
        watched = self._watched()
        await self._read_last({key[0] for key in watched if key not in self._looked})
        self._looked = {key: self._looked.get(key) for key in watched}
        for key, each in watched.items():
            await self._close(key, each, now - _OVERLAP)

    async def tidy(self) -> None:
        """Raises StoreError."""
        self._tidied_at = time.monotonic()
        kept: dict[str, timedelta] = {}
        for each in self._watched().values():
            source = each.metric.source.predictions
            assert source is not None  # of _watched
            kept[each.uid] = max(kept.get(each.uid, timedelta(0)), kept_for(source))
        await self._stores.call(predictions.drop_predictions, self._stores.admin_engine(), kept)

    def _watched(self) -> dict[Key, Watched]:
        return {
            (each.uid, each.metric.name, each.metric.source.window): each
            for each in self._evidence.watched()
            if each.metric.source.predictions is not None
        }

    async def _read_last(self, uids: set[str]) -> None:
        """Up to when windows were observed, by whoever led then."""
        if not uids:
            return
        last = await self._stores.call(last_readings, self._stores.admin_engine(), uids)
        for uid, name, window in self._watched():
            if uid in uids and (reading := last.get((uid, name))) is not None:
                self._looked.setdefault((uid, name, window), reading.observation.time)

    async def _close(self, key: Key, watched: Watched, now: datetime) -> None:
        name, source = watched.metric.name, watched.metric.source.predictions
        assert source is not None  # of _watched
        slots = closed_slots(source, self._looked[key], now)
        if not slots:
            return
        engine = self._stores.admin_engine()
        tallies = await self._stores.call(predictions.read_tallies, engine, watched.uid, source, slots)
        found = [observed(tally, source) for tally in tallies]
        end = begin_of(slots.stop, source)
        readings = [Reading(watched.uid, watched.namespace, name, one) for one in found if isinstance(one, Observation)]
        if readings:
            await self._stores.call(add_observations, engine, self._stores.owner, readings)
        self._looked[key] = end
        missing = self._evidence.missing.setdefault(watched.uid, {})
        match found[-1:]:
            case [Observation()]:
                missing.pop(name, None)
            case [str(reason)]:
                missing[name] = reason
            case _:
                missing[name] = f"no prediction came in the window until {end:%Y-%m-%dT%H:%MZ}"
