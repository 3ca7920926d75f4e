"""The real Kueue as a process beside the control plane, and queues whose quota a test decides.

Without its webhooks: a Job is then suspended when Kueue first sees it instead of when it is made, which is the harder
case, for a Job may be made running.
"""

from __future__ import annotations

import datetime
import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any, Self

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from integration.harness import ControlPlane, Kube
from integration.harness.binaries import kueue, kueue_crds
from integration.harness.control_plane import _free_ports
from integration.services import Program

Object = dict[str, Any]

METRICS_CERTIFICATES = Path("/etc/kueue/metrics/certs")
"""Kueue ends at once when this folder, which no setting names, holds no certificate."""
_API = "kueue.x-k8s.io/v1beta2"
_FLAVOR = "default-flavor"


class Kueue(Program):
    """A context manager: Kueue manages Jobs with a queue name while it is entered."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(plane, "kueue")
        self._folder = plane.folder / "kueue"
        self._admin = Kube(plane.kubeconfig)
        self._kubeconfig = plane.kubeconfig
        self._webhook_port, self._health_port = _free_ports(2)

    def __enter__(self) -> Self:
        self._install_crds()
        for folder in (self._folder, METRICS_CERTIFICATES):
            _write_certificate(folder)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for name in ("tls.crt", "tls.key"):
            (METRICS_CERTIFICATES / name).unlink(missing_ok=True)
        self._admin.close()

    def start(self) -> None:
        config = self._folder / "config.yaml"
        config.write_text(json.dumps(self._config()))  # JSON is YAML
        gates = "--feature-gates=VisibilityOnDemand=false"
        env = {"KUBECONFIG": str(self._kubeconfig), "HOME": str(self._folder), "PATH": os.environ["PATH"]}
        self._launch([str(kueue()), f"--config={config}", gates], env=env)
        self._wait_until(lambda: "Starting workers" in self.log and '"job"' in self.log, "Kueue")

    def stop(self) -> None:
        self._end(signal.SIGKILL)

    def queue(self, namespace: str, name: str, cpus: float) -> Queue:
        """A queue of this namespace, whose workers may use so many CPUs."""
        flavor = {"apiVersion": _API, "kind": "ResourceFlavor", "metadata": {"name": _FLAVOR}}
        self._admin.apply(flavor)
        made = Queue(self._admin, namespace, name)
        made.set_quota(cpus)
        local = {"apiVersion": _API, "kind": "LocalQueue", "metadata": {"name": name, "namespace": namespace}}
        self._admin.apply({**local, "spec": {"clusterQueue": made.cluster_queue}})
        return made

    def _config(self) -> Object:
        return {
            "apiVersion": "config.kueue.x-k8s.io/v1beta2",
            "kind": "Configuration",
            "health": {"healthProbeBindAddress": f"127.0.0.1:{self._health_port}"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"host": "127.0.0.1", "port": self._webhook_port, "certDir": str(self._folder)},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": False},
            "integrations": {"frameworks": ["batch/job"]},
        }

    def _install_crds(self) -> None:
        for file in kueue_crds():
            crd: Object = yaml.safe_load(file.read_text())
            crd["spec"].pop("conversion", None)  # by a webhook that does not run
            name = self._admin.apply(crd)["metadata"]["name"]
            self._admin.wait_for(partial(self._admin.get, "CustomResourceDefinition", name), _is_established)


class Queue:
    def __init__(self, admin: Kube, namespace: str, name: str) -> None:
        self._admin, self._namespace, self.name = admin, namespace, name
        self.cluster_queue = f"{namespace}-{name}"

    def set_quota(self, cpus: float) -> None:
        resources = [{"name": "cpu", "nominalQuota": str(cpus)}]
        groups = [{"coveredResources": ["cpu"], "flavors": [{"name": _FLAVOR, "resources": resources}]}]
        spec = {"namespaceSelector": {}, "queueingStrategy": "BestEffortFIFO", "resourceGroups": groups}
        body = {"apiVersion": _API, "kind": "ClusterQueue", "metadata": {"name": self.cluster_queue}, "spec": spec}
        self._admin.apply(body)

    def evict(self) -> None:
        """Take back what was admitted, as a workload of higher priority does."""
        self._hold("HoldAndDrain")

    def admit(self) -> None:
        self._hold("None")

    def _hold(self, policy: str) -> None:
        self._admin.patch("ClusterQueue", self.cluster_queue, {"spec": {"stopPolicy": policy}}, api_version=_API)


def _is_established(crd: Object) -> bool:
    return any(c["type"] == "Established" and c["status"] == "True" for c in crd["status"]["conditions"])


def _write_certificate(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kueue.tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (folder / "tls.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "tls.key").write_bytes(pem)
