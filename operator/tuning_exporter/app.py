"""The exporter's HTTP: /metrics for Prometheus, /alerts for Alertmanager, /observations, /predictions and /counts for
programs, and probes."""

import asyncio
import gc
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from sqlalchemy import Engine

from tuning_exporter import metrics
from tuning_exporter.authentication import Authentication, Caller
from tuning_exporter.families.study import Snapshot, tell
from tuning_exporter.inbox.alerts import Webhook, sightings, sort_out
from tuning_exporter.inbox.bodies import AboutStudy, NotReadable
from tuning_exporter.inbox.counts import read_counts
from tuning_exporter.inbox.counts import sort_out as sort_out_counts
from tuning_exporter.inbox.observations import Push, pushed, read_pushes
from tuning_exporter.inbox.predictions import Batch, Sorted, is_late, read_batches
from tuning_exporter.inbox.predictions import sort_out as sort_out_predictions
from tuning_exporter.snapshot import SnapshotReader
from tuning_exporter.studies import StudyIndex
from tuning_exporter.text import text_of
from tuning_kube.client import Cluster
from tuning_kube.errors import ClusterError, NotFound
from tuning_store.canary_counts import TooManySenders, keep_counts
from tuning_store.exceptions import StoreError
from tuning_store.features import read_references
from tuning_store.predictions import Kept, PredictionLog, TooManyPredictions
from tuning_store.production import note_alerts
from tuning_store.pushed import Pushed, keep_pushed
from tuning_study.production.features import Reference

log = structlog.get_logger()

_MAX_BODY = 16 * 1024 * 1024  # bytes: MAX_ALERTS, each of 3 kB
_MOST_TOLD = 100  # sentences in an answer
D = TypeVar("D", bound=AboutStudy)


def build_app(
    cluster: Cluster, snapshots: SnapshotReader, studies: StudyIndex, store: Engine, authentication: Authentication
) -> web.Application:
    """`store` is the administrator's."""
    app = web.Application(client_max_size=_MAX_BODY)
    api = _Api(cluster, snapshots, studies, store)
    app.router.add_get("/metrics", api.metrics)
    app.router.add_get("/healthz", api.alive)
    app.router.add_get("/readyz", api.alive)
    app.router.add_post("/alerts", authentication.guarded(api.alerts))
    app.router.add_post("/observations", authentication.guarded(api.observations))
    app.router.add_post("/predictions", authentication.guarded(api.predictions))
    app.router.add_post("/counts", authentication.guarded(api.counts))
    return app


class _Api:
    def __init__(self, cluster: Cluster, snapshots: SnapshotReader, studies: StudyIndex, store: Engine) -> None:
        self._cluster, self._snapshots, self._studies, self._store = cluster, snapshots, studies, store
        self._predictions = PredictionLog(store)

    async def alive(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def metrics(self, _: web.Request) -> web.Response:
        body = exposition(await self._snapshots.current())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def alerts(self, request: web.Request, caller: Caller) -> web.Response:
        """2xx only when everything is stored; else Alertmanager delivers again."""
        try:
            webhook = Webhook.model_validate_json(await request.read())
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:5]]
            return _refusal(400, "not an Alertmanager webhook", problems)
        found = sort_out(webhook)
        if others := caller.others_among({namespace for namespace, _ in found.alerts}):
            return _not_theirs(others)
        try:
            uids = await self._studies.uids(found.alerts.keys())
            seen = sightings(found, uids, datetime.now(UTC))
            if seen:
                await asyncio.to_thread(note_alerts, self._store, await self._snapshots.owner(), seen)
        except (ClusterError, StoreError) as error:
            metrics.received_alerts({"retried": sum(map(len, found.alerts.values()))})
            log.warning("alerts are not stored", error=str(error))
            return web.json_response({"error": f"not stored: {error}"}, status=503)
        unknown = [study for study in found.alerts if study not in uids]
        outcomes = {
            "stored": len(seen),
            "unknown_study": sum(len(found.alerts[study]) for study in unknown),
            "ignored": len(found.ignored),
            "malformed": len(found.malformed),
            "truncated": webhook.truncated_alerts,
        }
        metrics.received_alerts(outcomes)
        strangers = [f"{'/'.join(study)}: there is no such study" for study in unknown]
        ignored = [*found.malformed, *found.ignored, *strangers]
        stored = sorted("/".join(study) for study in uids)
        return web.json_response({"stored": stored, "ignored": ignored[:_MOST_TOLD], "alerts": outcomes})

    async def observations(self, request: web.Request, caller: Caller) -> web.Response:
        """Everything that a body tells is stored, or nothing of it."""
        try:
            pushes = read_pushes(await request.read())
        except NotReadable as error:
            return _refusal(400, "not observations", error.problems)
        if others := caller.others_among({push.namespace for push in pushes}):
            return _not_theirs(others)
        try:
            found, problems = await self._read(pushes, datetime.now(UTC))
            if problems:
                metrics.received_observations("Refused", len(problems))
                return _refusal(422, "not stored", problems)
            if found:
                await asyncio.to_thread(keep_pushed, self._store, found)
        except (ClusterError, StoreError) as error:
            return _refusal(503, f"not stored: {error}", [])
        stored = sum(len(told.readings) + len(told.references) + len(told.counts) for told in found)
        metrics.received_observations("Pushed", stored)
        return web.json_response({"stored": stored})

    async def _read(self, pushes: Sequence[Push], now: datetime) -> tuple[list[Pushed], list[str]]:
        """What is to be stored, and what is wrong. Raises ClusterError and StoreError."""
        found: list[Pushed] = []
        studies, problems = await self._studies_of(pushes)
        for push, study in studies:
            known: Mapping[str, Reference] = {}
            if push.features:
                known = await asyncio.to_thread(read_references, self._store, study["metadata"]["uid"])
            told, wrong = pushed(push, study, await self._snapshots.owner(), known, now)
            found.append(told)
            problems += [f"{push.place}: {problem}" for problem in wrong]
        return found, problems

    async def predictions(self, request: web.Request, caller: Caller) -> web.Response:
        """Everything that a body tells is stored, or nothing of it; but for predictions that come too late to count.
        Labels that do are stored, and told as late."""
        try:
            batches = read_batches(await request.read())
        except NotReadable as error:
            return _refusal(400, "no predictions", error.problems)
        if others := caller.others_among({batch.namespace for batch in batches}):
            return _not_theirs(others)
        try:
            now = datetime.now(UTC)
            found, problems = await self._sorted(batches, now)
            if problems:
                metrics.received_predictions("Refused", len(problems))
                return _refusal(422, "not stored", problems)
            told = [each.told for each in found]
            kept = await asyncio.to_thread(self._predictions.keep, told) if told else Kept(0, {})
        except TooManyPredictions as error:
            return _refusal(429, f"not stored: {error}", [])
        except (ClusterError, StoreError) as error:
            return _refusal(503, f"not stored: {error}", [])
        sent = sum(len(each.predictions) + len(each.labels) for each in told)
        sources = {each.told.place.study: each.sources for each in found}
        late = sum(is_late(time, sources[study], now) for study, times in kept.labelled.items() for time in times)
        outcomes = {
            "stored": kept.stored - late,
            "known": sent - kept.stored,
            "late": late + sum(each.late for each in found),
        }
        for outcome, number in outcomes.items():
            metrics.received_predictions(outcome.capitalize(), number)
        return web.json_response(outcomes)

    async def _sorted(self, batches: Sequence[Batch], now: datetime) -> tuple[list[Sorted], list[str]]:
        """What is to be stored, and what is wrong. Raises ClusterError."""
        found: list[Sorted] = []
        studies, problems = await self._studies_of(batches)
        for batch, study in studies:
            found.append(sort_out_predictions(batch, study, await self._snapshots.owner(), now))
            problems += [f"{batch.place}: {problem}" for problem in found[-1].problems]
        return found, problems

    async def counts(self, request: web.Request, caller: Caller) -> web.Response:
        """Everything that a body tells is stored, or nothing of it; but for counts of what no canary compares now."""
        try:
            documents = read_counts(await request.read())
        except NotReadable as error:
            return _refusal(400, "no counts", error.problems)
        if others := caller.others_among({document.namespace for document in documents}):
            return _not_theirs(others)
        try:
            studies, problems = await self._studies_of(documents)
            owner, now = await self._snapshots.owner(), datetime.now(UTC)
            found = [(document, sort_out_counts(document, study, owner, now)) for document, study in studies]
            problems += [f"{document.place}: {problem}" for document, each in found for problem in each.problems]
            if problems:
                metrics.received_counts("Refused", len(problems))
                return _refusal(422, "not stored", problems)
            told = [each.told for _, each in found if each.told is not None]
            if told:
                await asyncio.to_thread(keep_counts, self._store, told)
        except TooManySenders as error:
            return _refusal(429, f"not stored: {error}", [])
        except (ClusterError, StoreError) as error:
            return _refusal(503, f"not stored: {error}", [])
        outcomes = {"stored": len(told), "notCompared": len(found) - len(told)}
        metrics.received_counts("Stored", outcomes["stored"])
        metrics.received_counts("NotCompared", outcomes["notCompared"])
        return web.json_response(outcomes)

    async def _studies_of(self, documents: Sequence[D]) -> tuple[list[tuple[D, Mapping[str, Any]]], list[str]]:
        """Each document with the resource that it is about; a sentence for each without one. Raises ClusterError."""
        found: list[tuple[D, Mapping[str, Any]]] = []
        problems: list[str] = []
        for document in documents:
            try:
                found.append((document, await self._cluster.read_study(document.namespace, document.study)))
            except NotFound:
                problems.append(f"{document.place}: there is no such study")
        return found, problems


def exposition(snapshot: Snapshot) -> bytes:
    """What a scrape reads."""
    gc.disable()  # it would search all the samples for cycles, again and again, and there are none: half of the time
    try:
        told = tell(snapshot)
        metrics.dropped_series(told.dropped)
        return generate_latest(metrics.REGISTRY) + text_of(told.families)
    finally:
        gc.enable()


def _not_theirs(namespaces: Collection[str]) -> web.Response:
    problems = [f"{namespace}: the token speaks for another namespace" for namespace in namespaces]
    return _refusal(403, "not stored", problems)


def _refusal(status: int, error: str, problems: Sequence[str]) -> web.Response:
    return web.json_response({"error": error, "problems": list(problems[:_MOST_TOLD])}, status=status)
