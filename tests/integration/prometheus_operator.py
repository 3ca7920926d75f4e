"""The real Prometheus operator as a process beside the control plane, with the objects of kube-prometheus-stack.

It makes configurations of Prometheus and Alertmanager from monitors, rules and routes, in Secrets and ConfigMaps.
"""

from __future__ import annotations

import base64
import gzip
import os
import signal
import urllib.request
from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import yaml

from integration.harness import ControlPlane, Kube
from integration.harness.binaries import prometheus_operator, prometheus_operator_crds
from integration.harness.control_plane import _free_ports
from integration.services import Program

Object = dict[str, Any]

RELEASE = "kube-prometheus-stack"
MONITORING = "monitoring"
"""The stack's namespace."""
_SELECTED = {"matchLabels": {"release": RELEASE}}
_ALL: Object = {}
# As that chart has it by default: monitors and rules by the label of its release, every route; of all namespaces.
_STACK: dict[str, Object] = {
    "Prometheus": {
        "version": "v2.42.0",  # the oldest that may be at hand: later ones read its configuration, too
        "serviceMonitorSelector": _SELECTED,
        "serviceMonitorNamespaceSelector": _ALL,
        "ruleSelector": _SELECTED,
        "ruleNamespaceSelector": _ALL,
    },
    "Alertmanager": {"alertmanagerConfigSelector": _ALL, "alertmanagerConfigNamespaceSelector": _ALL},
}


# Takes `=` for a text, as everything but PyYAML does.
_Loader: Any = type("_Loader", (yaml.CSafeLoader,), {})
_Loader.add_constructor("tag:yaml.org,2002:value", yaml.CSafeLoader.construct_yaml_str)


class PrometheusOperator(Program):
    """A context manager: while it is entered it configures a Prometheus and an Alertmanager, of which no pod runs."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(plane, "prometheus-operator")
        (port,) = _free_ports(1)
        self._address = f"127.0.0.1:{port}"
        self._folder = plane.folder
        self._kubeconfig = plane.kubeconfig
        self._admin = Kube(plane.kubeconfig, MONITORING)

    def __enter__(self) -> Self:
        for file in prometheus_operator_crds():
            crd: Object = yaml.load(file.read_text(), Loader=_Loader)
            name = self._admin.apply(crd)["metadata"]["name"]
            self._admin.wait_for(partial(self._admin.get, "CustomResourceDefinition", name), _is_established)
        self._admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": MONITORING}})
        self.start()
        for kind in _STACK:
            self.configure(kind)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._admin.close()

    def start(self) -> None:
        env = {"KUBECONFIG": str(self._kubeconfig), "HOME": str(self._folder), "PATH": os.environ["PATH"]}
        self._launch([str(prometheus_operator()), f"-web.listen-address={self._address}"], env=env)
        self._wait_until(self._answers, "the Prometheus operator")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def configure(self, kind: str, **spec: Any) -> None:
        """The stack's Prometheus or Alertmanager has its defaults, and these fields besides."""
        body = {"apiVersion": "monitoring.coreos.com/v1", "kind": kind, "metadata": {"name": RELEASE}}
        self._admin.apply({**body, "spec": {"replicas": 0, **_STACK[kind], **spec}})

    def scraping(self) -> Object:
        """The configuration of Prometheus."""
        return self._packed(f"prometheus-{RELEASE}", "prometheus.yaml.gz")

    def jobs(self) -> dict[str, Object]:
        """What Prometheus scrapes, by the name of the job."""
        return {job["job_name"]: job for job in self.scraping().get("scrape_configs", ())}

    def routing(self) -> Object:
        """The configuration of Alertmanager."""
        return self._packed(f"alertmanager-{RELEASE}-generated", "alertmanager.yaml.gz")

    def routes(self) -> list[Object]:
        """What Alertmanager sends to somebody."""
        found: list[Object] = self.routing()["route"].get("routes") or []
        return found

    def rules(self) -> dict[str, str]:
        """The files of rules that Prometheus loads."""
        maps = self._admin.list("ConfigMap", f"prometheus-name={RELEASE}")
        return {name: text for one in maps for name, text in (one.get("data") or {}).items()}

    def certificates(self) -> dict[str, str]:
        """The files of /etc/prometheus/certs in the pod of Prometheus."""
        return _texts(self._admin.get("Secret", f"prometheus-{RELEASE}-tls-assets-0").get("data") or {})

    def _packed(self, secret: str, key: str) -> Object:
        data = base64.b64decode(self._admin.get("Secret", secret)["data"][key])
        found: Object = yaml.safe_load(gzip.decompress(data))
        return found

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self._address}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _texts(data: Mapping[str, str]) -> dict[str, str]:
    return {name: base64.b64decode(text).decode() for name, text in data.items()}


def _is_established(crd: Object) -> bool:
    return any(c["type"] == "Established" and c["status"] == "True" for c in crd["status"]["conditions"])
