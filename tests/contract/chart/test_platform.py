"""What a platform sets for its pods, its Prometheus and its CRDs arrives."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from .renderings import CHART, EVERYTHING, PODS, VALUE_SETS, Render, containers, named, of, pod


def test_everything_that_is_given_arrives(render: Render) -> None:
    objects = render(EVERYTHING)
    for one in objects:
        assert one["metadata"]["labels"].items() >= {"team": "platform", "cost-centre": "17"}.items()
        assert one["metadata"]["annotations"]["contact"] == "platform@example.com"
    for one in of(objects, *PODS):
        assert pod(one)["metadata"]["labels"]["team"] == "platform"
        assert pod(one)["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        for container in containers(one):
            assert container["image"].startswith("registry.example.com/tuning-")
            assert container["imagePullPolicy"] == "Always"

    given = yaml.safe_load(Path(EVERYTHING).read_text())["operator"]
    made = named(objects, "Deployment", "tuning-tuner-operator")
    assert made["spec"]["strategy"] == given["strategy"]
    assert made["spec"]["revisionHistoryLimit"] == given["revisionHistoryLimit"]
    spec = pod(made)["spec"]
    for field in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "dnsConfig", "hostUsers"):
        assert spec[field] == given[field]
    (container,) = spec["containers"]
    assert container["resources"] == given["resources"]
    assert "startupProbe" not in container
    assert container["livenessProbe"]["initialDelaySeconds"] == 30
    assert given["extraEnv"][0] in container["env"]
    assert given["extraVolumeMounts"][0] in container["volumeMounts"]
    assert given["extraVolumes"][0] in spec["volumes"]
    budget = named(objects, "PodDisruptionBudget", "tuning-tuner-operator")["spec"]
    assert (budget["minAvailable"], "maxUnavailable" in budget) == (2, False)
    service = named(objects, "Service", "tuning-tuner-operator")
    assert (service["spec"]["ipFamilyPolicy"], service["spec"]["ipFamilies"]) == ("PreferDualStack", ["IPv6", "IPv4"])


def test_replicas_are_spread_by_their_own_labels(render: Render) -> None:
    (own,) = pod(named(render(), "Deployment", "tuning-operator"))["spec"]["topologySpreadConstraints"]
    assert own["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] == "tuning-operator"
    given = pod(named(render(EVERYTHING), "Deployment", "tuning-tuner-operator"))["spec"]["topologySpreadConstraints"]
    assert given[1]["labelSelector"] == {"matchLabels": {"a": "b"}}


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS)
def test_a_service_selects_the_pods_of_one_component(render: Render, values: tuple[str, ...]) -> None:
    objects = render(*values)
    for service in of(objects, "Service"):
        wanted = service["spec"]["selector"].items()
        selected = [one for one in of(objects, *PODS) if wanted <= pod(one)["metadata"]["labels"].items()]
        assert [one["metadata"]["name"] for one in selected] == [service["metadata"]["name"]]


def test_pods_restart_for_no_new_version_of_the_chart_alone(render: Render) -> None:
    for one in of(render(), "Deployment", "StatefulSet"):
        labels = pod(one)["metadata"]["labels"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


@pytest.mark.parametrize("values", [(), ("exporter.enabled=false",)])
def test_the_service_monitor_finds_what_has_metrics(render: Render, values: tuple[str, ...]) -> None:
    objects = render("serviceMonitor.enabled=true", *values)
    (monitor,) = of(objects, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]
    (among,) = wanted["matchExpressions"]
    found = {
        service["metadata"]["name"]
        for service in of(objects, "Service")
        if wanted["matchLabels"].items() <= service["metadata"]["labels"].items()
        and service["metadata"]["labels"][among["key"]] in among["values"]
    }
    assert found == {"tuning-operator"} | (set() if values else {"tuning-exporter"})
    assert wanted["matchLabels"]["app.kubernetes.io/instance"] == "tuning"  # not another release's


def test_the_service_monitor_is_as_prometheus_selects_it(render: Render) -> None:
    (monitor,) = of(render(EVERYTHING), "ServiceMonitor")
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["platform"]}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("30s", "10s")
    assert endpoint["relabelings"] == [{"targetLabel": "cluster", "replacement": "production"}]
    assert endpoint["metricRelabelings"] == [{"action": "labeldrop", "regex": "pod"}]


def test_the_rules_are_the_file_that_others_load_as_it_is(render: Render) -> None:
    rules = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
    (made,) = of(render("prometheusRule.enabled=true"), "PrometheusRule")
    assert made["spec"] == rules
    assert made["metadata"]["namespace"] == "tuning"

    (made,) = of(render(EVERYTHING), "PrometheusRule")
    assert made["metadata"]["namespace"] == "monitoring"
    assert made["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    links = {rule["annotations"]["runbook_url"] for group in made["spec"]["groups"] for rule in group["rules"]}
    assert all(link.startswith("https://wiki.example.com/tuning/runbooks#tuning") for link in links)


def test_the_dashboards_are_the_files_in_config_maps_that_a_sidecar_finds(render: Render) -> None:
    files = {path.stem: path.read_text().strip() for path in (CHART / "files" / "dashboards").glob("*.json")}
    made = of(render("grafanaDashboards.enabled=true"), "ConfigMap")
    assert {one["metadata"]["name"]: one["data"] for one in made} == {
        f"tuning-grafana-{name}": {f"tuning-{name}.json": text} for name, text in files.items()
    }
    assert {one["metadata"]["labels"]["grafana_dashboard"] for one in made} == {"1"}
    assert {one["metadata"]["annotations"]["grafana_folder"] for one in made} == {"Tuning"}
    (moved, *others) = [one for one in of(render(EVERYTHING), "ConfigMap") if "grafana" in one["metadata"]["name"]]
    assert len(others) == 2
    assert moved["metadata"]["namespace"] == "monitoring"
    assert moved["metadata"]["labels"]["grafana_dashboard"] == "yes"
    assert moved["metadata"]["annotations"]["grafana_folder"] == "Models"


@pytest.mark.parametrize("values", [("alertmanagerConfig.enabled=true",), (EVERYTHING,)])
def test_alerts_are_sent_to_the_exporter_with_its_token(render: Render, values: tuple[str, ...]) -> None:
    objects = render(*values)
    (made,) = of(objects, "AlertmanagerConfig")
    (receiver,) = made["spec"]["receivers"]
    assert made["spec"]["route"]["receiver"] == receiver["name"]
    (webhook,) = receiver["webhookConfigs"]
    (exporter,) = [one for one in of(objects, "Service") if one["metadata"]["name"].endswith("-exporter")]
    (port,) = exporter["spec"]["ports"]
    name, namespace = exporter["metadata"]["name"], exporter["metadata"]["namespace"]
    assert webhook["url"] == f"http://{name}.{namespace}.svc:{port['port']}/alerts"
    # An AlertmanagerConfig reads Secrets of its own namespace alone.
    assert made["metadata"]["namespace"] == namespace
    secret = webhook["httpConfig"]["authorization"]["credentials"]
    (mounted,) = [
        volume["secret"]["secretName"]
        for volume in pod(named(objects, "Deployment", name))["spec"]["volumes"]
        if "secret" in volume
    ]
    assert secret == {"name": mounted, "key": "token"}


def test_with_a_certificate_whoever_calls_the_exporter_uses_it(render: Render) -> None:
    objects = render(
        'exporter.tls.existingSecret="tls"', "serviceMonitor.enabled=true", "alertmanagerConfig.enabled=true"
    )
    (container,) = containers(named(objects, "Deployment", "tuning-exporter"))
    (port,) = container["ports"]
    assert {"name": "TUNING_TLS", "value": "/etc/tuning/tls"} in container["env"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert (container[probe]["httpGet"]["scheme"], container[probe]["httpGet"]["port"]) == ("HTTPS", port["name"])
    (served,) = named(objects, "Service", "tuning-exporter")["spec"]["ports"]
    assert (served["name"], served["appProtocol"], served["targetPort"]) == ("https", "https", port["name"])

    known = {"serverName": "tuning-exporter.tuning.svc", "ca": {"secret": {"name": "tls", "key": "ca.crt"}}}
    (monitor,) = of(objects, "ServiceMonitor")
    operators, exporters = monitor["spec"]["endpoints"]
    assert (operators["port"], "scheme" in operators) == ("http", False)
    assert (exporters["port"], exporters["scheme"], exporters["tlsConfig"]) == ("https", "https", known)
    (alerts,) = of(objects, "AlertmanagerConfig")
    (webhook,) = alerts["spec"]["receivers"][0]["webhookConfigs"]
    assert webhook["url"] == "https://tuning-exporter.tuning.svc:8080/alerts"
    assert webhook["httpConfig"]["tlsConfig"] == known
    (test,) = of(objects, "Pod")
    assert "https://tuning-exporter.tuning.svc:8080/readyz" in containers(test)[0]["args"]


def test_a_certificate_that_all_trust_needs_no_authority(render: Render) -> None:
    (monitor,) = of(
        render('exporter.tls={"existingSecret":"tls","caKey":""}', "serviceMonitor.enabled=true"), "ServiceMonitor"
    )
    assert monitor["spec"]["endpoints"][1]["tlsConfig"] == {"serverName": "tuning-exporter.tuning.svc"}


def test_the_crd_stays_when_the_release_goes_and_carries_what_is_given(render: Render) -> None:
    (crd,) = of(render(), "CustomResourceDefinition")
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    (crd,) = of(render(EVERYTHING), "CustomResourceDefinition")
    assert crd["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] == "ServerSideApply=true"
    assert "helm.sh/resource-policy" not in crd["metadata"]["annotations"]
    assert crd["metadata"]["labels"]["helm.sh/chart"].startswith("tuning-operator-")
