"""What the Prometheus operator makes of the chart's monitor, rules and route, in the stack of kube-prometheus-stack.

Its programs are real: the operator, a Prometheus with the configuration that it writes, and Alertmanager's own tool for
its routes. Only discovery is not: there are no pods to discover, and Debian's Prometheus is built without it.
"""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from authority import Authority
from contract.alerting import alerts, routed
from contract.chart.renderings import EVERYTHING, Object, Render, of
from contract.servers import configured_prometheus
from integration.harness import BinariesUnavailable, ControlPlane, Kube
from integration.monitoring import firing
from integration.operator_fixtures import TOKEN, Studies
from integration.prometheus_operator import MONITORING, RELEASE, PrometheusOperator
from integration.services import SYSTEM, Operator, Postgres, Service
from integration.studies import quick_study

MONITOR = f'serviceMonitor={{"enabled":true,"labels":{{"release":"{RELEASE}"}}}}'
RULES = f'prometheusRule={{"enabled":true,"labels":{{"release":"{RELEASE}"}}}}'
ROUTE = "alertmanagerConfig.enabled=true"
TLS = 'exporter.tls.existingSecret="tls"'

Install = Callable[..., list[Object]]


@pytest.fixture(scope="module")
def prometheus_operator(control_plane: ControlPlane) -> Iterator[PrometheusOperator]:
    try:
        running = PrometheusOperator(control_plane).__enter__()
    except BinariesUnavailable as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    yield running
    running.__exit__()


@pytest.fixture
def install(render: Render, prometheus_operator: PrometheusOperator, system: Kube) -> Iterator[Install]:
    """Installs what a release has for the Prometheus operator, for the time of the test; returns all of the release."""
    made: list[Object] = []

    def install(*values: str, release: str = "tuning", namespace: str = SYSTEM) -> list[Object]:
        objects = render(*values, release=release, namespace=namespace)
        for one in monitoring_objects(objects):
            system.apply(one)
            made.append(one)
        return objects

    yield install
    for one in made:
        system.delete(one["kind"], one["metadata"]["name"], namespace=one["metadata"]["namespace"])
    for left in (prometheus_operator.jobs, prometheus_operator.rules, prometheus_operator.routes):
        system.wait_for(left, lambda found: not found)


def monitoring_objects(objects: Sequence[Object]) -> list[Object]:
    return [one for one in objects if one["apiVersion"].startswith("monitoring.coreos.com/")]


def discovered(objects: list[Object], addresses: Mapping[str, str]) -> list[Object]:
    """What Kubernetes tells Prometheus of the Services of a release whose components serve at these addresses."""
    targets = []
    for service in of(objects, "Service"):
        name, labels = service["metadata"]["name"], service["metadata"]["labels"]
        component = labels["app.kubernetes.io/component"]
        known = {"namespace": service["metadata"]["namespace"], "service_name": name}
        known |= {"endpoint_address_target_kind": "Pod", "endpoint_address_target_name": f"{name}-0"}
        known |= {"pod_name": f"{name}-0", "pod_container_name": component, "pod_phase": "Running"}
        for label, value in labels.items():
            sanitized = re.sub(r"\W", "_", label)
            known |= {f"service_label_{sanitized}": value, f"service_labelpresent_{sanitized}": "true"}
        for port in service["spec"]["ports"] if component in addresses else []:
            meta = {f"__meta_kubernetes_{key}": value for key, value in known.items()}
            meta["__meta_kubernetes_endpoint_port_name"] = port["name"]
            targets.append({"targets": [addresses[component]], "labels": meta})
    return targets


def on_this_machine(made: PrometheusOperator, targets: list[Object], folder: Path) -> Object:
    """The configuration of Prometheus, quicker, and without what only its pod has: variables, files, discovery."""
    for name, text in (made.rules() | made.certificates()).items():
        (folder / name).write_text(text)
    text = json.dumps(made.scraping()).replace("$(POD_NAME)", "prometheus-0").replace("$(SHARD)", "0")
    text = text.replace("/etc/prometheus/certs", str(folder))
    configuration: Object = json.loads(text)
    configuration["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(folder / name) for name in made.rules()]
    for job in configuration["scrape_configs"]:
        del job["kubernetes_sd_configs"]
        job |= {"static_configs": targets, "scrape_interval": "1s"}
    return configuration


def ask(url: str, path: str, **query: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        return json.load(answer)["data"]


def series(url: str, query: str) -> list[tuple[dict[str, str], float]]:
    return [(one["metric"], float(one["value"][1])) for one in ask(url, "query", query=query)["result"]]


# --- the real CRDs


def dry_run(plane: ControlPlane, one: Object) -> None:
    """Raises HTTPError where the API server would not take the object as it stands."""
    body = one | {"metadata": one["metadata"] | {"namespace": "default"}}
    path = f"/apis/{one['apiVersion']}/namespaces/default/{one['kind'].lower()}s"
    plane.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", body)


TAKEN = {
    "plain": (MONITOR, RULES, ROUTE),
    "with TLS": (MONITOR, ROUTE, TLS),
    "with a certificate that all trust": (MONITOR, ROUTE, 'exporter.tls={"existingSecret":"tls","caKey":""}'),
    "without an exporter": (MONITOR, RULES, "exporter.enabled=false"),
    "everything": (EVERYTHING,),
}


@pytest.mark.parametrize("values", TAKEN.values(), ids=TAKEN)
def test_the_api_server_takes_every_object_as_it_stands(
    control_plane: ControlPlane,
    prometheus_operator: PrometheusOperator,
    render: Render,
    values: tuple[str, ...],
) -> None:
    objects = monitoring_objects(render(*values))
    assert "ServiceMonitor" in {one["kind"] for one in objects}
    for one in objects:
        dry_run(control_plane, one)


@pytest.mark.parametrize(("field", "value"), [("honourLabels", True), ("scheme", "ftp"), ("interval", "often")])
def test_the_api_server_would_see_a_wrong_field(
    control_plane: ControlPlane,
    prometheus_operator: PrometheusOperator,
    render: Render,
    field: str,
    value: Any,
) -> None:
    (monitor,) = of(render(MONITOR), "ServiceMonitor")
    monitor["spec"]["endpoints"][0][field] = value
    with pytest.raises(urllib.error.HTTPError) as refused:
        dry_run(control_plane, monitor)
    with refused.value as answer:
        assert field in answer.read().decode()


# --- selectors


def test_monitor_and_rules_are_taken_by_the_label_of_the_stacks_release_alone(
    install: Install, prometheus_operator: PrometheusOperator, system: Kube
) -> None:
    install("serviceMonitor.enabled=true", "prometheusRule.enabled=true", "crds.install=false", release="team")
    install(MONITOR, RULES)
    system.wait_for(prometheus_operator.jobs, bool)
    system.wait_for(prometheus_operator.rules, bool)
    assert prometheus_operator.jobs().keys() == {"serviceMonitor/tuning/tuning/0"}
    assert [name.startswith("tuning-tuning-") for name in prometheus_operator.rules()] == [True]


def test_they_are_taken_from_whatever_namespace(
    install: Install, prometheus_operator: PrometheusOperator, system: Kube
) -> None:
    install(MONITOR, 'serviceMonitor.namespace="monitoring"')
    jobs = system.wait_for(prometheus_operator.jobs, bool)
    (job,) = jobs.values()
    assert job["kubernetes_sd_configs"][0]["namespaces"] == {"names": [SYSTEM]}


# --- scrapes


PUSHED = {"name": "accuracy", "direction": "Maximize", "source": {"push": {}}, "baseline": {"value": 0.9}}


def test_operator_and_exporter_are_scraped_and_an_alert_names_the_study_that_it_is_about(
    studies: Studies,
    operator: Operator,
    exporter: Service,
    install: Install,
    prometheus_operator: PrometheusOperator,
    system: Kube,
    tmp_path: Path,
) -> None:
    objects = install(MONITOR, RULES)
    system.wait_for(prometheus_operator.jobs, bool)
    system.wait_for(prometheus_operator.rules, bool)
    study = studies(quick_study("watched", production={"metrics": [PUSHED]}))
    study.wait_until("Complete")
    targets = discovered(
        objects, {"operator": operator.address, "exporter": exporter.address, "postgresql": "nobody:1"}
    )
    with configured_prometheus(tmp_path, on_this_machine(prometheus_operator, targets, tmp_path)) as url:
        system.wait_for(lambda: series(url, "up == 1"), lambda found: len(found) == 2)
        assert {labels["job"]: labels["namespace"] for labels, _ in series(url, "up")} == {
            "tuning-operator": SYSTEM,
            "tuning-exporter": SYSTEM,
        }
        ours = {"namespace": study.kube.namespace, "study": "watched"}
        system.wait_for(
            lambda: series(url, 'tuning_study_info{study="watched"}'),
            lambda found: [labels.items() >= ours.items() for labels, _ in found] == [True],
        )
        assert series(url, '{exported_namespace!=""}') == []

        groups = system.wait_for(
            lambda: ask(url, "rules")["groups"],
            lambda groups: all(rule["health"] == "ok" for group in groups for rule in group["rules"]),
        )
        assert {rule["name"] for group in groups for rule in group["rules"]} == set(alerts())

        body = {**ours, "metrics": {"accuracy": {"good": 500, "total": 1000}}}
        assert exporter.post("/observations", json.dumps(body).encode(), TOKEN) == (200, '{"stored": 1}')
        (alert,) = system.wait_for(
            lambda: [one for one in firing(url) if one["labels"]["alertname"] == "TuningModelDegraded"], bool
        )
    labels = {"alertname": "TuningModelDegraded", "metric": "accuracy", "severity": "warning", **ours}
    assert alert["labels"] == labels


RIGHT, WRONG = Authority("the right authority"), Authority("the wrong authority")
CERTIFICATES = {
    "trusted": (RIGHT, f"tuning-exporter.{SYSTEM}.svc", "up", ""),
    "of an authority that is not in the Secret": (WRONG, f"tuning-exporter.{SYSTEM}.svc", "down", "x509"),
    "of another host": (RIGHT, "tuning-exporter.elsewhere.svc", "down", "x509"),
}


@pytest.mark.parametrize(("authority", "host", "health", "words"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_an_exporter_with_a_certificate_is_scraped_over_https_if_it_can_prove_who_it_is(
    control_plane: ControlPlane,
    postgres: Postgres,
    token_file: Path,
    install: Install,
    prometheus_operator: PrometheusOperator,
    system: Kube,
    tmp_path: Path,
    authority: Authority,
    host: str,
    health: str,
    words: str,
) -> None:
    certificate, key = authority.issue(host)
    served = {"tls.crt": certificate, "tls.key": key}
    for name, text in served.items():
        (tmp_path / name).write_text(text)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls", "namespace": SYSTEM}}
    system.apply({**secret, "stringData": {**served, "ca.crt": RIGHT.pem()}})
    objects = install(MONITOR, TLS)
    system.wait_for(prometheus_operator.certificates, bool)
    system.wait_for(prometheus_operator.jobs, lambda jobs: len(jobs) == 2)

    env = {"TUNING_STORE_URL": postgres.url, "TUNING_TOKEN_FILE": str(token_file), "TUNING_TLS": str(tmp_path)}
    exporter = Service(control_plane, "tuning_exporter", "tuning-exporter", env)
    exporter.start()
    try:
        targets = discovered(objects, {"exporter": exporter.address})
        with configured_prometheus(tmp_path, on_this_machine(prometheus_operator, targets, tmp_path)) as url:
            (target,) = system.wait_for(
                lambda: ask(url, "targets", state="active")["activeTargets"],
                lambda found: found and all(one["health"] != "unknown" for one in found),
            )
            assert (target["health"], words in target["lastError"]) == (health, True), target["lastError"]
            assert target["scrapeUrl"] == f"https://{exporter.address}/metrics"
            assert bool(series(url, "tuning_store_up")) == (health == "up")
    finally:
        exporter.stop()


def test_a_monitor_in_another_namespace_is_left_alone_until_it_has_the_secret_beside_it(
    install: Install, prometheus_operator: PrometheusOperator, system: Kube
) -> None:
    install(MONITOR, TLS, f'serviceMonitor.namespace="{MONITORING}"')
    system.wait_for(
        lambda: system.list("Event", namespace=MONITORING, api_version="v1"),
        lambda events: "InvalidConfiguration" in {event["reason"] for event in events},
    )
    assert prometheus_operator.jobs() == {}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls", "namespace": MONITORING}}
    system.apply({**secret, "stringData": {"ca.crt": RIGHT.pem()}})
    system.wait_for(prometheus_operator.jobs, lambda jobs: len(jobs) == 2)
    system.delete("Secret", "tls", namespace=MONITORING)


# --- routes

STRATEGIES = {
    "the default": ({}, SYSTEM, False),
    "None": ({"alertmanagerConfigMatcherStrategy": {"type": "None"}}, SYSTEM, True),
    "OnNamespaceExceptForAlertmanagerNamespace": (
        {"alertmanagerConfigMatcherStrategy": {"type": "OnNamespaceExceptForAlertmanagerNamespace"}},
        MONITORING,
        True,
    ),
}


@pytest.mark.parametrize(("strategy", "namespace", "arrives"), STRATEGIES.values(), ids=STRATEGIES)
def test_whether_an_alert_on_a_study_of_another_namespace_arrives_is_the_strategys(
    install: Install,
    prometheus_operator: PrometheusOperator,
    system: Kube,
    tmp_path: Path,
    strategy: Object,
    namespace: str,
    arrives: bool,
) -> None:
    token = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tuning-exporter-token", "namespace": namespace},
    }
    system.apply({**token, "stringData": {"token": TOKEN}})
    prometheus_operator.configure("Alertmanager", **strategy)
    install(ROUTE, namespace=namespace)
    receiver = f"{namespace}/tuning/tuning"

    def reaches(study_namespace: str) -> bool:
        alert = {"alertname": "TuningModelDegraded", "namespace": study_namespace, "study": "digits"}
        return receiver in routed(prometheus_operator.routing(), tmp_path, **alert)

    system.wait_for(lambda: reaches(namespace), bool)
    system.wait_for(lambda: reaches("team-a"), lambda found: found == arrives)
    (webhook,) = next(one for one in prometheus_operator.routing()["receivers"] if one["name"] == receiver)[
        "webhook_configs"
    ]
    assert webhook["url"] == f"http://tuning-exporter.{namespace}.svc:8080/alerts"
    assert webhook["http_config"]["authorization"] == {"type": "Bearer", "credentials": TOKEN}
