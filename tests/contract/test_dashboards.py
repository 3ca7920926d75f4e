"""Each query of each Grafana dashboard, run by a Prometheus that has scraped an operator and two exporters.

A panel that shows nothing is a mistake, unless the scene has nothing to show: MAY_BE_EMPTY.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client import REGISTRY

import tuning_exporter.metrics
import tuning_operator.metrics
from tuning_exporter.families.study import Snapshot, tell
from tuning_study.api.status import State

from . import servers
from .alerting import ROOT

FOLDER = ROOT / "charts" / "tuning-operator" / "files" / "dashboards"
DASHBOARDS: Mapping[str, Any] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
PANELS = {
    (name, panel["title"]): panel
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
}
VARIABLES = {"$namespace": "team", "$study": "digits", "$__rate_interval": "5s", "$__range": "1h"}

NO_STUDY = {panel for panel in PANELS if panel[0] == "study"} - {("study", "Rounds for what is wrong now")}
COUNTED = {
    ("study", "What began new rounds?"),
    ("study", "Why did requests begin none?"),
    ("fleet", "What began new rounds?"),
    ("fleet", "Why did requests begin none?"),
    ("fleet", "What became of alerts?"),
    ("fleet", "What became of observations?"),
    ("fleet", "What became of predictions?"),
    ("operator", "Observations"),
}
TROUBLE = {
    ("study", "What does the next round wait for?"),
    ("fleet", "Studies that failed or stalled"),
    ("fleet", "Degraded models"),
    ("fleet", "Rounds that wait"),
}
ROUND = {
    ("study", "How much of the budget is used?"),
    ("study", "Trials by state"),
    ("study", "Is the best value still getting better?"),
    ("study", "Trials per minute"),
    ("study", "How long does a trial take?"),
    ("study", "Pareto set"),
    ("fleet", "Trials per minute"),
    ("fleet", "Studies that run"),
}
MAY_BE_EMPTY: Mapping[str, set[tuple[str, str]]] = {
    "empty": {
        *NO_STUDY,
        *COUNTED,
        *TROUBLE,
        *ROUND,
        ("fleet", "Studies by state"),
        ("fleet", "Are the workers there?"),
        ("operator", "How long does a look at a study take?"),
    },
    "running": COUNTED | TROUBLE,
    "degraded": ROUND,
}


class Prometheus:
    """One scene's, and what panels show of it."""

    def __init__(self, url: str, scene: str) -> None:
        self.url, self.scene = url, scene

    def get(self, path: str, **parameters: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            told = json.load(answer)
        assert told["status"] == "success" and not told.get("warnings"), told
        return told["data"]

    def await_each(self, expression: str) -> None:
        """Until each of the three targets has it."""
        deadline = time.monotonic() + 60
        while len(self.get("query", query=expression)["result"]) < 3:
            assert time.monotonic() < deadline, f"{expression} is not there"
            time.sleep(0.05)

    def shown(self, target: Mapping[str, Any]) -> dict[str, float]:
        """The last values by their legends, or by their labels where there is none; without NaN, which is not drawn."""
        expression, now = with_variables(target["expr"]), time.time()
        if target["instant"]:
            found = self.get("query", query=expression)["result"]
        else:
            found = self.get("query_range", query=expression, start=str(now - 2), end=str(now), step="1")["result"]
        numbers: dict[str, float] = {}
        for series in found:
            value = float(series["value"][1] if target["instant"] else series["values"][-1][1])
            name = legend(target["legendFormat"], series["metric"])
            assert name not in numbers, f"two series are called {name}"
            if not math.isnan(value):
                numbers[name] = value
        return numbers

    def shown_by(self, panel: tuple[str, str]) -> list[dict[str, float]]:
        """For each query of the panel."""
        return [self.shown(target) for target in PANELS[panel]["targets"]]


def with_variables(text: str) -> str:
    for name, value in sorted(VARIABLES.items(), reverse=True):
        text = text.replace(name, value)
    assert "$" not in text
    return text


def legend(text: str, labels: Mapping[str, str]) -> str:
    if not text:
        return ", ".join(value for _, value in sorted(labels.items()))
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), text)


@pytest.fixture(scope="module", params=MAY_BE_EMPTY)
def prometheus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder, ports = tmp_path_factory.mktemp(request.param), [servers.free_port() for _ in range(3)]
    targets = [f"127.0.0.1:{port}" for port in ports]
    program = [sys.executable, "-m", "contract.dashboard_scenes", request.param, *map(str, ports)]

    def serves() -> None:
        for port in ports:
            servers.await_port(port)

    with (
        servers.running(["env", f"PYTHONPATH={ROOT / 'tests'}", *program], folder / "scene.log", serves),
        servers.prometheus(folder, targets) as url,
    ):
        made = Prometheus(url, request.param)
        made.await_each("rate(process_cpu_seconds_total[5s])")  # from two scrapes on
        yield made


def test_every_panel_shows_something_where_there_is_something(prometheus: Prometheus) -> None:
    empty = {panel for panel in PANELS if not any(prometheus.shown_by(panel))}
    assert empty == MAY_BE_EMPTY[prometheus.scene]


SHOWN: Mapping[str, Mapping[tuple[str, str], list[Mapping[str, float]]]] = {
    "empty": {
        ("operator", "Replicas that lead"): [{"": 1}],
        ("operator", "Does the store answer?"): [{"": 1}],
        ("fleet", "Running"): [{"": 0}],
        ("fleet", "Failed or stalled"): [{"": 0}],
    },
    "running": {
        ("study", "State"): [{"Running": 1}],
        ("study", "Are the workers there?"): [{"desired": 2, "ready": 1}],
        ("study", "How long does a trial take?"): [{"half take at most": 0.3}, {"95 % take at most": 0.48}],
        ("study", "Conditions"): [{"Running, WorkersReady, True": 1}],
        ("study", "Is the model well?"): [{"accuracy": 0}],
        ("fleet", "Running"): [{"": 1}],
        ("fleet", "Studies by state"): [dict.fromkeys(get_args(State), 0.0) | {"Running": 1}],
        ("operator", "Exporters that are scraped"): [{"": 2}],
    },
    "degraded": {
        ("study", "State"): [{"Complete": 1}],
        ("study", "Is the model well?"): [{"accuracy": 1, "latency": 2}],
        ("study", "How sure is it that the model is degraded?"): [{"accuracy": 1.4, "latency": 0}],
        ("study", "Rounds for what is wrong now"): [{"": 2}],
        ("study", "What does the next round wait for?"): [{"Cooldown": 1}],
        ("study", "What began new rounds?"): [{"Degradation": 2}],
        ("fleet", "Failed or stalled"): [{"": 1}],
        ("fleet", "Degraded models"): [{"accuracy, team, digits": value} for value in (0.8, 0.9, 0.85)],
        ("fleet", "What became of alerts?"): [{"ignored": 2, "stored": 6}],  # each exporter tells its own: 1 and 3
        ("fleet", "What became of observations?"): [{"Pushed": 10, "Value": 1}],
        ("fleet", "What became of predictions?"): [{"Late": 4, "Stored": 80}],
    },
}


def test_panels_show_what_the_scene_is(prometheus: Prometheus) -> None:
    told = SHOWN[prometheus.scene]
    assert {panel: prometheus.shown_by(panel) for panel in told} == {
        panel: [pytest.approx(one) for one in values] for panel, values in told.items()
    }


def test_two_exporters_tell_of_the_same_trials(prometheus: Prometheus) -> None:
    prometheus.await_each("up offset 5s")  # the whole of what the rate is taken of
    [shown] = prometheus.shown_by(("fleet", "Trials per minute"))
    assert shown == ({"trials": pytest.approx(600, rel=0.3)} if prometheus.scene == "running" else {})


def test_series_that_scrapes_leave_out_are_told(prometheus: Prometheus) -> None:
    prometheus.await_each("up offset 5s")  # the whole of what the rate is taken of
    [shown] = prometheus.shown_by(("operator", "How many series does it leave out?"))
    assert len(shown) == 2, "of each exporter"
    assert all((rate > 0) == (prometheus.scene == "running") for rate in shown.values())


def test_the_variables_offer_what_there_is(prometheus: Prometheus) -> None:
    offered = {
        variable["name"]: prometheus.get(f"label/{label}/values", **{"match[]": with_variables(series)})
        for variable in DASHBOARDS["study"]["templating"]["list"]
        if variable["type"] == "query"
        for series, label in re.findall(r"label_values\((.*), (\w+)\)", variable["query"])
    }
    studies = {"empty": [], "running": ["digits"], "degraded": ["digits", "letters"]}[prometheus.scene]
    assert offered == {"namespace": ["team"] if studies else [], "study": studies}


# --- What needs no Prometheus


def test_every_metric_is_exported() -> None:
    told = [*tell(Snapshot()).families, *REGISTRY.collect(), *tuning_exporter.metrics.REGISTRY.collect()]
    assert tuning_operator.metrics
    expressions = " ".join(target["expr"] for panel in PANELS.values() for target in panel["targets"])
    used = set(re.findall(r"tuning_\w+", expressions))
    suffix = r"(_total|_info|_bucket|_count|_sum)?"
    assert [name for name in used if not any(re.fullmatch(one.name + suffix, name) for one in told)] == []


def test_dashboards_and_their_panels_can_be_told_apart() -> None:
    assert {name: dashboard["uid"] for name, dashboard in DASHBOARDS.items()} == {
        name: f"tuning-{name}" for name in ("study", "fleet", "operator")
    }
    for dashboard in DASHBOARDS.values():
        identities = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(identities)) == len(identities)
    for panel in PANELS.values():
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == list("ABCDEFGH"[: len(letters)])


def test_links_lead_to_dashboards_and_their_variables() -> None:
    [by_tag] = {tag for dashboard in DASHBOARDS.values() for link in dashboard["links"] for tag in link["tags"]}
    assert {name for name, dashboard in DASHBOARDS.items() if by_tag in dashboard["tags"]} == {"fleet", "operator"}
    urls = set(re.findall(r'"url": "(/d/[^"]+)"', json.dumps(DASHBOARDS["fleet"])))
    [(uid, query)] = {(url.partition("?")[0].removeprefix("/d/"), url.partition("?")[2]) for url in urls}
    assert uid == DASHBOARDS["study"]["uid"]
    variables = {f"var-{variable['name']}" for variable in DASHBOARDS["study"]["templating"]["list"]}
    assert set(re.findall(r"var-\w+", query)) == variables


def test_the_files_are_what_is_generated(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "hack" / "dashboards", tmp_path], check=True)
    made = {path.stem: path.read_text() for path in tmp_path.glob("*.json")}
    assert made == {path.stem: path.read_text() for path in FOLDER.glob("*.json")}, "run `make generate`"
