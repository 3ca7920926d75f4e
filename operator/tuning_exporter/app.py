"""The exporter's HTTP: /metrics for Prometheus, /alerts for Alertmanager, and the probes."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Metric, generate_latest
from prometheus_client.registry import Collector
from pydantic import ValidationError

from tuning_exporter.alerts import RetuneRequest, Webhook, requests
from tuning_exporter.families import families
from tuning_exporter.scenes import Scenes
from tuning_operator.cluster import Cluster
from tuning_operator.exceptions import ClusterError, Conflict, NotFound
from tuning_operator.names import RETUNE_ANNOTATION
from tuning_operator.retune import parse_request

log = structlog.get_logger()

_LARGEST_BODY = 1024 * 1024
_alerts = Counter("tuning_alerts", "Alerts received, by what became of them.", ["outcome"])


def build_app(cluster: Cluster, scenes: Scenes, token: str) -> web.Application:
    app = web.Application(client_max_size=_LARGEST_BODY)
    api = _Api(cluster, scenes)
    app.router.add_get("/metrics", api.metrics)
    app.router.add_get("/healthz", api.alive)
    app.router.add_get("/readyz", api.alive)
    app.router.add_post("/alerts", _with_token(token, api.alerts))
    return app


class _Api:
    def __init__(self, cluster: Cluster, scenes: Scenes) -> None:
        self._cluster, self._scenes = cluster, scenes

    async def alive(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def metrics(self, _: web.Request) -> web.Response:
        registry = CollectorRegistry()
        scene = await self._scenes.current()
        registry.register(_Told(list(families(scene))))
        body = generate_latest() + generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def alerts(self, request: web.Request) -> web.Response:
        """2xx only when every request is stored on its study; else Alertmanager delivers again."""
        try:
            webhook = Webhook.model_validate_json(await request.read())
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:5]]
            return web.json_response({"error": "not an Alertmanager webhook", "problems": problems}, status=400)
        wanted, ignored = requests(webhook)
        _alerts.labels("ignored").inc(len(ignored))
        stored: list[str] = []
        for one in wanted:
            try:
                await self._store(one)
                stored.append(f"{one.namespace}/{one.study}")
            except NotFound:
                _alerts.labels("unknown_study").inc()
                ignored.append(f"{one.namespace}/{one.study}: there is no such study")
            except ClusterError as error:
                _alerts.labels("retried").inc()
                log.warning("the request is not stored", study=one.study, error=str(error))
                return web.json_response({"error": f"not stored: {error}", "stored": stored}, status=503)
        _alerts.labels("stored").inc(len(stored))
        return web.json_response({"stored": stored, "ignored": ignored})

    async def _store(self, wanted: RetuneRequest) -> None:
        study = await self._cluster.read_study(wanted.namespace, wanted.study)
        version = study["metadata"]["resourceVersion"]
        value = wanted.annotation(datetime.now(UTC).isoformat())
        if _unanswered(study):
            raise Conflict("another request waits for its answer", 409)
        await self._cluster.annotate_study(wanted.namespace, wanted.study, RETUNE_ANNOTATION, value, version)
        log.info("asked for a round", namespace=wanted.namespace, study=wanted.study, reason=wanted.reason)


class _Told(Collector):
    """A collector of families that are there already."""

    def __init__(self, told: list[Metric]) -> None:
        self._told = told

    def collect(self) -> list[Metric]:
        return self._told


def _with_token(
    token: str, handler: Callable[[web.Request], Awaitable[web.Response]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def guarded(request: web.Request) -> web.Response:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            return web.json_response({"error": "give the exporter's token: Authorization: Bearer …"}, status=401)
        return await handler(request)

    return guarded


def _unanswered(study: Mapping[str, Any]) -> bool:
    """Whether the operator has not yet read the request that stands on the study."""
    value = study["metadata"].get("annotations", {}).get(RETUNE_ANNOTATION)
    answered = ((study.get("status") or {}).get("retune") or {}).get("lastRequest")
    return value is not None and parse_request(value).digest != answered
