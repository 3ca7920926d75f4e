"""The way of an alert, as docs/alerts.md and the chart configure it: what asks for a round reaches the exporter."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from . import servers
from .alerting import ROOT, RULES, alerts, block, promtool, read, routed

DIGITS = {"namespace": "team-a", "study": "digits"}


def configuration() -> Any:
    """Alertmanager's, of the page."""
    return read(block("docs/alerts.md", "receivers:"))


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"alertname": "TuningModelDegraded", "metric": "accuracy"}, "tuning,people"),
        ({"alertname": "TuningDriftHigh"}, "people"),
        ({"alertname": "DigitsTooManyComplaints"}, "tuning,people"),
        ({"alertname": "TuningObservationStale"}, "people"),
        ({"alertname": "TuningPromotionRolledBack"}, "people"),
        ({"alertname": "TuningRetuneLoop"}, "people"),
        ({"alertname": "TuningStudyStalled"}, "people"),
        ({"alertname": "TuningTrialFailuresHigh"}, "people"),
        ({"alertname": "TuningStoreDown", "study": ""}, "people"),
        ({"alertname": "KubePodCrashLooping", "study": ""}, "people"),
        ({"alertname": "Watchdog", "study": "", "namespace": ""}, "people"),
    ],
    ids=lambda value: value.get("alertname") if isinstance(value, dict) else None,
)
def test_only_alerts_that_ask_for_a_round_reach_the_exporter(
    tmp_path: Path, labels: dict[str, str], receivers: str
) -> None:
    assert routed(configuration(), tmp_path, **DIGITS | labels) == receivers


def test_of_our_alerts_on_studies_only_those_on_models_ask_for_a_round(tmp_path: Path) -> None:
    named = [name for name, rule in alerts().items() if rule["expr"].startswith("max by (namespace, study")]
    asking = [name for name in named if "tuning" in routed(configuration(), tmp_path, **DIGITS | {"alertname": name})]
    assert len(named) == 7
    assert asking == ["TuningModelDegraded"]


def test_the_prometheus_operators_default_strategy_lets_no_alert_of_another_namespace_through(tmp_path: Path) -> None:
    """It adds this matcher to the route of an AlertmanagerConfig, here to that of a chart in namespace tuning."""
    document = configuration()
    document["route"]["routes"][0]["matchers"].append('namespace = "tuning"')
    assert routed(document, tmp_path, **DIGITS) == "people"
    assert routed(document, tmp_path, **DIGITS | {"namespace": "tuning"}) == "tuning,people"


def test_the_chart_routes_as_the_page_says() -> None:
    [route, _] = configuration()["route"]["routes"]
    values = read((ROOT / "charts/tuning-operator/values.yaml").read_text())["alertmanagerConfig"]
    assert route["matchers"] == [
        f"{one['name']} {one['matchType']} {json.dumps(one['value'])}" for one in values["matchers"]
    ]
    assert route["group_wait"] == values["groupWait"]


def test_prometheus_takes_the_configuration_and_the_rules_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(block("docs/alerts.md", "alert: Digits"))
    promtool("check", "rules", str(tmp_path / "own.yaml"))
    scraping = block("docs/alerts.md", "scrape_configs:").replace("/etc/prometheus/tuning-rules.yaml", str(RULES))
    # Debian's Prometheus is built without Kubernetes.
    scraping, changed = re.subn("kubernetes_sd_configs: .*", "static_configs: [{targets: [a]}]", scraping)
    assert changed == 1
    (tmp_path / "prometheus.yaml").write_text(scraping)
    promtool("check", "config", str(tmp_path / "prometheus.yaml"))


@contextmanager
def metrics() -> Iterator[str]:
    """A model that has degraded, and a study that has been tuned three times in vain; its `host:port`."""
    registry, port = CollectorRegistry(), servers.free_port()
    degraded = Gauge("tuning_production_degraded", "…", ["namespace", "study", "metric"], registry=registry)
    degraded.labels("team-a", "digits", "accuracy").set(1)
    rounds = Gauge("tuning_retune_episode_rounds", "…", ["namespace", "study"], registry=registry)
    rounds.labels("team-a", "letters").set(3)
    server, thread = start_http_server(port, "127.0.0.1", registry)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Receivers:
    """What Alertmanager has sent to people, and to the exporter."""

    def __init__(self) -> None:
        self.people: asyncio.Queue[str] = asyncio.Queue()
        self.exporter: asyncio.Queue[tuple[str | None, Any]] = asyncio.Queue()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[TestServer]:
        application = web.Application()
        application.router.add_post("/people", self._tell_people)
        application.router.add_post("/alerts", self._ask_exporter)
        server = TestServer(application)
        async with server:
            yield server

    async def _tell_people(self, request: web.Request) -> web.Response:
        for alert in (await request.json())["alerts"]:
            self.people.put_nowait(alert["labels"]["alertname"])
        return web.Response()

    async def _ask_exporter(self, request: web.Request) -> web.Response:
        self.exporter.put_nowait((request.headers.get("Authorization"), await request.json()))
        return web.Response()


async def test_a_degraded_model_asks_for_a_round_and_a_loop_of_rounds_asks_people_alone(tmp_path: Path) -> None:
    receivers, document = Receivers(), configuration()
    (tmp_path / "token").write_text("secret")
    async with receivers.serving() as server:
        document["route"] |= {"group_by": ["..."], "group_wait": "0s"}
        people, exporter = document["receivers"]
        people["webhook_configs"] = [{"url": str(server.make_url("/people"))}]
        [webhook] = exporter["webhook_configs"]
        webhook["url"] = str(server.make_url("/alerts"))
        webhook["http_config"]["authorization"]["credentials_file"] = str(tmp_path / "token")
        with ExitStack() as stack:

            async def start(program: Any) -> Any:
                return await asyncio.to_thread(stack.enter_context, program)

            scraped = await start(metrics())
            address = await start(servers.alertmanager(tmp_path, json.dumps(document)))
            await start(servers.prometheus(tmp_path, [scraped], RULES, address))
            told: set[str] = set()
            while not {"TuningModelDegraded", "TuningRetuneLoop"} <= told:
                told.add(await asyncio.wait_for(receivers.people.get(), 60))
            credentials, body = await asyncio.wait_for(receivers.exporter.get(), 60)
    assert credentials == "Bearer secret"
    [alert] = body["alerts"]
    assert alert["labels"].items() >= (DIGITS | {"alertname": "TuningModelDegraded", "metric": "accuracy"}).items()
    assert alert["annotations"]["summary"].startswith("accuracy of team-a/digits")
    assert receivers.exporter.empty()
