"""The whole circle: the exporter's metric, Prometheus's rule, Alertmanager's webhook, and round 2, once."""

import base64
import json
import shlex
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from e2e.conftest import Kubectl, eventually

pytestmark = pytest.mark.cluster

_SENT = 'alertmanager_notifications_total{integration="webhook"'

STUDY = """
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: watched}
spec:
  metrics: [{name: loss, direction: Minimize}]
  parameters: [{name: x, type: Float, min: 0, max: 1}]
  objective: {command: {command: [sh, -c], args: ["echo loss={x}"]}}
  budget: {trials: 12}
  workers: {replicas: 2}
  retune:
    triggers: [Alert]
    cooldown: 1h
    budget: {trials: 6}
    warmStart: {best: 3}
"""


def test_a_firing_alert_starts_round_2_once(kubectl: Kubectl, system: Kubectl, tmp_path: Path) -> None:
    kubectl.apply(STUDY)
    kubectl.wait("watched", "Complete")

    with _monitoring(system, kubectl.namespace, tmp_path) as alertmanager:
        eventually(lambda: _round_is_complete(kubectl, 2))

        status = kubectl.status("watched")
        assert status["retune"]["reason"] == "ModelIsBad: the best loss is not good enough"
        assert status["trials"]["summary"] == "6/6"
        assert status["rounds"][1]["study"].endswith("/r2")

        # Alertmanager repeats what still fires: it is one episode, which has had its round.
        told = _deliveries(alertmanager)
        eventually(lambda: _has_delivered(alertmanager, told + 3))
        retune = kubectl.status("watched")["retune"]
        assert (kubectl.status("watched")["round"], retune["episode"]["rounds"]) == (2, 1)
    assert [reason for reason, _ in kubectl.events("watched")].count("RetuneStarted") == 1


def test_a_request_by_hand_takes_the_same_road_and_the_cooldown_holds(kubectl: Kubectl) -> None:
    kubectl.apply(STUDY)
    kubectl.wait("watched", "Complete")

    kubectl("annotate tstudy watched tuning.dev/retune-requested=first")
    eventually(lambda: _round_is_complete(kubectl, 2))
    assert kubectl.status("watched")["retune"]["lastHandled"] == "first"

    kubectl("annotate --overwrite tstudy watched tuning.dev/retune-requested=second")
    eventually(lambda: _suppressed(kubectl))
    assert kubectl.status("watched")["retune"]["lastOutcome"] == "Cooldown"
    assert kubectl.status("watched")["round"] == 2


def _round_is_complete(kubectl: Kubectl, number: int) -> None:
    status = kubectl.status("watched")
    assert (status["round"], status["state"]) == (number, "Complete")


def _deliveries(alertmanager: str) -> float:
    """Webhooks that it has sent so far."""
    with urllib.request.urlopen(f"{alertmanager}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(_SENT))


def _has_delivered(alertmanager: str, times: float) -> None:
    assert _deliveries(alertmanager) >= times


def _suppressed(kubectl: Kubectl) -> None:
    assert kubectl.status("watched")["retune"]["suppressed"] >= 1


@contextmanager
def _monitoring(system: Kubectl, namespace: str, folder: Path) -> Iterator[str]:
    """Prometheus and Alertmanager on this machine, scraping and calling the exporter through a port-forward; the URL of
    the second."""
    for program in ("prometheus", "prometheus-alertmanager"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is not installed: apt-get install prometheus prometheus-alertmanager")
    token = base64.b64decode(system.get("secret tuning-exporter-token")["data"]["token"]).decode()
    with ExitStack() as stack:
        exporter, prometheus, alertmanager = _free_port(), _free_port(), _free_port()
        stack.enter_context(
            _process(
                f"kubectl -n {system.namespace} port-forward svc/tuning-exporter {exporter}:8080",
                f"http://127.0.0.1:{exporter}/healthz",
            )
        )
        (folder / "rules.json").write_text(json.dumps(_rules(namespace)))
        (folder / "prometheus.json").write_text(json.dumps(_prometheus(folder, exporter, alertmanager)))
        (folder / "alertmanager.json").write_text(json.dumps(_alertmanager(exporter, token)))
        stack.enter_context(
            _process(
                f"prometheus-alertmanager --config.file={folder}/alertmanager.json --storage.path={folder}/am"
                f" --web.listen-address=127.0.0.1:{alertmanager} --cluster.listen-address=",
                f"http://127.0.0.1:{alertmanager}/-/ready",
            )
        )
        stack.enter_context(
            _process(
                f"prometheus --config.file={folder}/prometheus.json --storage.tsdb.path={folder}/tsdb"
                f" --web.listen-address=127.0.0.1:{prometheus}",
                f"http://127.0.0.1:{prometheus}/-/ready",
            )
        )
        yield f"http://127.0.0.1:{alertmanager}"


def _rules(namespace: str) -> object:
    rule = {
        "alert": "ModelIsBad",
        "expr": f'tuning_study_best_value{{namespace="{namespace}", study="watched", metric="loss"}} > -1',
        # Through the seconds in which round 2 has no best trial yet, so that it fires all the time.
        "keep_firing_for": "1m",
        "annotations": {"summary": "the best loss is not good enough"},
    }
    return {"groups": [{"name": "test", "interval": "1s", "rules": [rule]}]}


def _prometheus(folder: Path, exporter: int, alertmanager: int) -> object:
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [f"{folder}/rules.json"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
        "scrape_configs": [
            {
                "job_name": "tuning",
                "honor_labels": True,
                "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}],
            }
        ],
    }


def _alertmanager(exporter: int, token: str) -> object:
    webhook = {
        "url": f"http://127.0.0.1:{exporter}/alerts",
        "http_config": {"authorization": {"type": "Bearer", "credentials": token}},
    }
    return {
        "route": {
            "receiver": "tuning",
            "group_by": ["namespace", "study"],
            "group_wait": "1s",
            "group_interval": "2s",
            "repeat_interval": "3s",
        },
        "receivers": [{"name": "tuning", "webhook_configs": [webhook]}],
    }


@contextmanager
def _process(command: str, ready: str) -> Iterator[None]:
    process = subprocess.Popen(shlex.split(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _answers(ready))
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> None:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except OSError as error:
        raise AssertionError(f"{url} does not answer: {error}") from error


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
