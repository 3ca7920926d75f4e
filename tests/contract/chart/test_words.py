"""The words of the chart: its notes, its README and its page on Artifact Hub."""

from __future__ import annotations

import json
import re
import runpy

import pytest
import yaml

from tuning_study.manifest import parse_yaml, read_study

from .renderings import CHART, ROOT, VALUE_SETS, flags, run


def notes(helm: str, *values: str) -> str:
    command = [helm, "install", "tuning", str(CHART), "--dry-run=client", "--namespace", "tuning", *flags(values)]
    return run(*command).partition("NOTES:")[2]


def test_the_notes_hold_a_study_that_can_be_pasted(helm: str) -> None:
    (study,) = re.findall(r"^kubectl apply -n default -f - <<END\n(.*?)^END$", notes(helm), re.MULTILINE | re.DOTALL)
    assert read_study(parse_yaml(study))[1] == "first"


def test_the_notes_say_what_an_uninstall_leaves(helm: str) -> None:
    assert "pvc/data-tuning-postgresql-0 secret/tuning-postgresql\n" in notes(helm)
    assert "kubectl delete" not in notes(helm, *VALUE_SETS["own secrets"])
    assert "kubectl apply -n team-a" in notes(helm, 'watchNamespaces=["team-a"]')


def test_the_notes_say_how_to_see_whether_alerts_arrive(helm: str) -> None:
    assert "alertmanagerConfigMatcherStrategy" not in notes(helm)
    told = notes(helm, "prometheusRule.enabled=true", "alertmanagerConfig.enabled=true")
    assert "kubectl get alertmanager -A -o custom-columns=" in told
    assert "STRATEGY:.spec.alertmanagerConfigMatcherStrategy.type" in told
    assert "kubectl get prometheusrule -n tuning tuning --show-labels" in told


def test_the_notes_say_where_a_monitor_in_another_namespace_looks_for_the_authority(helm: str) -> None:
    elsewhere = ("serviceMonitor.enabled=true", 'serviceMonitor.namespace="monitoring"')
    told = "is left out unless a Secret monitoring/tls has ca.crt, too\n"
    assert told in notes(helm, *elsewhere, 'exporter.tls.existingSecret="tls"')
    assert told not in notes(helm, *elsewhere)
    assert "left out" not in notes(helm, "serviceMonitor.enabled=true", 'exporter.tls.existingSecret="tls"')
    assert "left out" not in notes(helm, *elsewhere, 'exporter.tls={"existingSecret":"tls","caKey":""}')


def test_the_readme_tells_every_value() -> None:
    generate = runpy.run_path(str(ROOT / "hack" / "generate.py"))
    table = generate["values_table"]((CHART / "values.yaml").read_text())
    assert table in (CHART / "README.md").read_text(), "run `make generate`"


def test_a_value_without_a_word_about_it_stops_the_generation() -> None:
    generate = runpy.run_path(str(ROOT / "hack" / "generate.py"))
    with pytest.raises(ValueError, match=r"operator\.replicas has no comment"):
        generate["values_table"]("operator:\n  replicas: 2\n")


def test_the_example_on_artifact_hub_can_run() -> None:
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
    (example,) = yaml.safe_load(annotations["artifacthub.io/crdsExamples"])
    assert read_study(parse_yaml(json.dumps(example)))[1] == "digits"
