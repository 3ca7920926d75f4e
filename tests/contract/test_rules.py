"""The alerting rules, tested by promtool; each is exported for, seen to fire, and has a runbook."""

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import tuning_operator.metrics
from tuning_exporter.families.study import Snapshot, tell

from .alerting import ROOT, RULES, alerts, promtool, read

TESTS = sorted(Path(__file__).with_name("rules").glob("*.yaml"))
LABELS = {"namespace", "study", "metric", "feature", "severity"}  # what makes an alert the same one


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", str(RULES))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules(path: Path) -> None:
    promtool("test", "rules", str(path))


def test_each_alert_is_seen_to_fire_and_not_to_fire() -> None:
    seen = {
        (case["alertname"], bool(case["exp_alerts"]))
        for path in TESTS
        for test in read(path.read_text())["tests"]
        for case in test["alert_rule_test"]
    }
    assert seen == {(name, fires) for name in alerts() for fires in (True, False)}


@pytest.mark.parametrize("name", alerts())
def test_replicas_and_new_pods_are_no_other_alert(name: str) -> None:
    expression = alerts()[name]["expr"]
    grouped = re.match(r"max by \(([^)]*)\)", expression)
    assert grouped or expression.startswith("absent(")
    kept = set(grouped[1].split(", ")) if grouped else set()
    assert kept <= (LABELS | {"job"} if name == "TuningLabelsLost" else LABELS)


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_what_is_known_and_names_its_runbook(name: str) -> None:
    rule = alerts()[name]
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert set(rule["labels"]) == {"severity"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in [heading.lower() for heading in headings]
    assert name.lower() == anchor


def test_every_metric_of_the_rules_is_exported() -> None:
    assert tuning_operator.metrics
    collected = [*tell(Snapshot()).families, *REGISTRY.collect()]
    exported = {f"{one.name}_info" if one.type == "info" else one.name for one in collected}
    used = set(re.findall(r"tuning_\w+", " ".join(rule["expr"] for rule in alerts().values())))
    assert used <= exported
