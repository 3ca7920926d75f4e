"""Every rendering is valid in every Kubernetes that the chart is for, and what makes no sense is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest

from .renderings import CHART, VALUE_SETS, Object, Render, named, run

VERSIONS = ["1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"]


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS)
def test_every_rendering_is_valid_in_every_kubernetes(
    render: Render, validate: Callable[[Object, str], None], values: tuple[str, ...]
) -> None:
    for one in render(*values):
        if not one["apiVersion"].startswith("monitoring.coreos.com/"):  # not Kubernetes's own
            for version in VERSIONS:
                validate(one, version)


def test_the_validation_sees_a_field_that_does_not_exist(
    render: Render, validate: Callable[[Object, str], None]
) -> None:
    broken = named(render(), "Service", "tuning-operator")
    broken["spec"]["prots"] = []
    with pytest.raises(kubernetes_validate.ValidationError, match="prots"):
        validate(broken, VERSIONS[-1])


@pytest.mark.parametrize("path", sorted((CHART / "ci").glob("*.yaml")), ids=lambda path: path.stem)
def test_helm_finds_no_fault(helm: str, path: Path) -> None:
    run(helm, "lint", "--strict", str(CHART), "--values", str(path))


REFUSED = [
    ("oprator.replicas=1", "oprator"),
    ("operator.replcias=1", "replcias"),
    ("operator.livenessProbe.httpGet={}", "httpGet"),
    ('operator.service.type="LoadBalancer"', "type"),
    ("worker.podTemplate.nodeSelector={}", "nodeSelector"),
    ("worker.nodeSelector={}", "nodeSelector"),
    ("exporter.serviceAccount.annotation={}", "annotation"),
    ('serviceMonitor.interval="15"', "interval"),
    ('prometheusRule.runbookUrl="docs/runbooks.md"', "runbookUrl"),
    ('grafanaDashboards.labels={"grafana_dashboard":1}', "labels"),
    ('alertmanagerConfig.matchers=["study=digits"]', "matchers"),
    ('alertmanagerConfig={"enabled":true,"namespace":"monitoring"}', "namespace"),
    ("postgresql.strategy={}", "strategy"),
    ('global.imagePullSecrets=["registry"]', "imagePullSecrets"),
    ('fullnameOverride="Not_A_Name"', "fullnameOverride"),
    ("alertmanagerConfig.enabled=true,exporter.enabled=false", "exporter.enabled=true"),
    ("postgresql.enabled=false", "give externalPostgresql.existingSecret"),
]


@pytest.mark.parametrize(("value", "told"), REFUSED)
def test_a_value_that_makes_no_sense_is_named(helm: str, value: str, told: str) -> None:
    command = [helm, "template", "tuning", str(CHART), "--set-json", value]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode != 0
    assert told in ended.stderr


def test_values_of_other_charts_that_share_global_are_let_be(render: Render) -> None:
    assert render('global.storageClass="fast"') == render()
