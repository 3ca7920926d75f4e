"""A model in production, and Alertmanagers that a test may stop and start again."""

from __future__ import annotations

import json
import signal
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml
from prometheus_client.parser import text_string_to_metric_families

from contract.servers import program
from integration.harness import ControlPlane
from integration.harness.control_plane import _free_ports
from integration.services import Program

Object = dict[str, Any]


class Model:
    """A model that serves: every second it has answered 500 more questions, of which `accuracy` were right.

    A context manager; the share is exact, so that a test has no luck.
    """

    def __init__(self) -> None:
        self.accuracy = 0.9
        self._labelled = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Metrics(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                model._labelled += 500
                lines = [f"model_accuracy {model.accuracy}", f"model_labelled_total {model._labelled}", ""]
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write("\n".join(lines).encode())

            def log_message(self, *_: object) -> None:
                pass

        return Metrics


class Alertmanager(Program):
    """Sends every alert to the exporter at once, and again each few seconds while it fires."""

    def __init__(self, plane: ControlPlane, folder: Path, webhook: str, token: str) -> None:
        (port,) = _free_ports(1)
        super().__init__(plane, f"alertmanager-{port}")
        self.address = f"127.0.0.1:{port}"
        self._folder = folder / f"alertmanager-{port}"
        self._folder.mkdir()
        authorization = {"http_config": {"authorization": {"credentials": token}}}
        route = {"receiver": "tuning", "group_by": ["namespace", "study"], "group_wait": "0s", "group_interval": "1s"}
        config = {
            "route": {**route, "repeat_interval": "3s"},
            "receivers": [{"name": "tuning", "webhook_configs": [{"url": webhook, **authorization}]}],
        }
        (self._folder / "config.yml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        if not self.running:
            command = [program("prometheus-alertmanager", "prometheus-alertmanager")]
            command += [f"--config.file={self._folder}/config.yml", f"--storage.path={self._folder}/data"]
            command += [f"--web.listen-address={self.address}", "--cluster.listen-address="]
            self._launch(command)
        self._wait_until(lambda: _answers(f"http://{self.address}/-/ready"), "Alertmanager")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def active(self) -> list[Object]:
        """The alerts that it knows to fire."""
        with urllib.request.urlopen(f"http://{self.address}/api/v2/alerts?active=true", timeout=10) as answer:
            found: list[Object] = json.load(answer)
        return found

    def failed_deliveries(self) -> float:
        """How often nobody took what it had to tell, since it started."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            samples = [sample for family in families for sample in family.samples]
        failed = "alertmanager_notification_requests_failed_total"
        return sum(sample.value for sample in samples if sample.name == failed)


def firing(prometheus: str) -> list[Object]:
    """The alerts that fire at the Prometheus of this URL."""
    with urllib.request.urlopen(f"{prometheus}/api/v1/alerts", timeout=10) as answer:
        alerts = json.load(answer)["data"]["alerts"]
    return [alert for alert in alerts if alert["state"] == "firing"]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
