"""A real etcd, kube-apiserver and kube-controller-manager as local processes of one test session.

The operator's hard cases (conflicts, outages, garbage collection, pod failure policies) are decided by these programs,
so no fake of them would prove anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from .binaries import Binaries, locate
from .guard import Guard


class ControlPlane:
    """Kubernetes without nodes: enter it, and `kubeconfig` names a cluster of one's own.

    Args:
        folder: keeps the programs' state while they run, and their logs afterwards.
        binaries: the programs; looked up (and built, where they are missing) if not given.
        node_lost_after: seconds without a heartbeat until a node counts as unreachable. A cluster whose nodes are
            all unreachable evicts nothing (Kubernetes calls that a disruption of its own), so tests of a lost node
            need a second one.
        evict_after: seconds which pods then get, unless they name a toleration themselves.
        apiserver_args: further flags of kube-apiserver; a later one wins.
        controller_manager_args: the same for kube-controller-manager.
    """

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Binaries | None = None,
        node_lost_after: int = 15,
        evict_after: int = 5,
        apiserver_args: Sequence[str] = (),
        controller_manager_args: Sequence[str] = (),
    ) -> None:
        self.folder = folder.absolute()
        self.binaries = binaries or locate()
        self.guard = Guard()
        self.ca = self.folder / "tls" / "apiserver.crt"
        self.kubeconfig = self.folder / "admin.kubeconfig"
        self.token = secrets.token_hex(16)

        etcd_port, peer_port, api_port, manager_port = _free_ports(4)
        self.url = f"https://127.0.0.1:{api_port}"
        etcd_url, peer_url = f"http://127.0.0.1:{etcd_port}", f"http://127.0.0.1:{peer_port}"
        tokens, signing_key = self.folder / "tokens.csv", self.folder / "service-accounts.key"

        self.etcd = Component(
            self,
            [
                str(self.binaries.etcd),
                f"--data-dir={self.folder / 'etcd'}",
                "--unsafe-no-fsync",
                "--log-level=warn",
                f"--listen-client-urls={etcd_url}",
                f"--advertise-client-urls={etcd_url}",
                f"--listen-peer-urls={peer_url}",
                f"--initial-advertise-peer-urls={peer_url}",
                f"--initial-cluster=default={peer_url}",
            ],
            ready=f"{etcd_url}/health",
        )
        self.apiserver = Component(
            self,
            [
                str(self.binaries.kube_apiserver),
                f"--etcd-servers={etcd_url}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={api_port}",
                f"--cert-dir={self.ca.parent}",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--endpoint-reconciler-type=none",  # a loopback address is no endpoint
                "--shutdown-watch-termination-grace-period=1s",  # or stop() waits a minute for open watches
                "--authorization-mode=RBAC",
                f"--token-auth-file={tokens}",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={signing_key}",
                f"--service-account-signing-key-file={signing_key}",
                f"--default-not-ready-toleration-seconds={evict_after}",
                f"--default-unreachable-toleration-seconds={evict_after}",
                *apiserver_args,
            ],
            ready=f"{self.url}/readyz",
        )
        self.controller_manager = Component(
            self,
            [
                str(self.binaries.kube_controller_manager),
                f"--kubeconfig={self.kubeconfig}",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
                f"--secure-port={manager_port}",
                f"--service-account-private-key-file={signing_key}",
                f"--root-ca-file={self.ca}",
                # As many calls as a test of a thousand studies asks for: the defaults (20/s) would be what it measures.
                "--kube-api-qps=1000",
                "--kube-api-burst=2000",
                "--concurrent-job-syncs=20",
                "--node-monitor-period=1s",
                f"--node-monitor-grace-period={node_lost_after}s",
                "--node-eviction-rate=100",
                *controller_manager_args,
            ],
            ready=f"https://127.0.0.1:{manager_port}/healthz",
        )

    def __enter__(self) -> Self:
        try:
            self._write_credentials()
            self.etcd.start()
            self.apiserver.start()
            self.controller_manager.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def service_account_kubeconfig(self, namespace: str, name: str, server: str | None = None) -> Path:
        """Write a kubeconfig with a token of this ServiceAccount (24 hours), so that only its RBAC counts.

        It names `server` instead of the API server itself where there is a proxy between.
        """
        token = self.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {"spec": {"expirationSeconds": 24 * 3600}},
        )["status"]["token"]
        file = f"{namespace}.{name}.{secrets.token_hex(2)}.kubeconfig"
        return self._write_kubeconfig(self.folder / file, f"{namespace}:{name}", token, namespace, server)

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """One call as cluster admin, for what must not depend on a client library."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": content_type},
        )
        context = ssl.create_default_context(cafile=str(self.ca))
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            result: dict[str, Any] = json.load(answer)
        return result

    def _end(self) -> None:
        # A further Ctrl-C must not stop this half way; what it did not reach is the guard's.
        try:
            for component in (self.controller_manager, self.apiserver, self.etcd):
                component.kill()
        finally:
            self.guard.close()
            shutil.rmtree(self.folder / "etcd", ignore_errors=True)  # the logs stay

    def _write_credentials(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        _write_private(self.folder / "service-accounts.key", pem.decode())
        _write_private(self.folder / "tokens.csv", f'{self.token},admin,admin,"system:masters"\n')
        self._write_kubeconfig(self.kubeconfig, "admin", self.token, "default")

    def _write_kubeconfig(self, path: Path, user: str, token: str, namespace: str, server: str | None = None) -> Path:
        cluster = {"server": server or self.url, "certificate-authority": str(self.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user, "namespace": namespace}}],
            "current-context": "test",
        }
        _write_private(path, json.dumps(config, indent=1))  # JSON is YAML
        return path


class Component:
    """One program of the control plane. It may be stopped and started again: port and data stay the same."""

    def __init__(self, plane: ControlPlane, command: Sequence[str], *, ready: str) -> None:
        self.name = Path(command[0]).name
        self.log = plane.folder / f"{self.name}.log"
        self._plane = plane
        self._command = list(command)
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    def start(self, timeout: float = 90) -> None:
        """Start it (unless it runs) and wait until it says that it is ready."""
        if not self.running:
            with open(self.log, "ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._plane.folder,
                    start_new_session=True,
                )
            self._plane.guard.add(self._process.pid)
        deadline = time.monotonic() + timeout
        while not _answers(self._ready):
            if not self.running:
                raise RuntimeError(f"{self.name} ended while starting:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} not ready after {timeout:g} s:\n{self.tail()}")
            time.sleep(0.1)

    def stop(self, timeout: float = 30) -> None:
        """End it as a rollout does: SIGTERM, open requests are answered, then it is gone."""
        self._finish(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._finish(signal.SIGKILL, 10)

    def tail(self, lines: int = 30) -> str:
        """Return the end of its log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _finish(self, how: signal.Signals, timeout: float) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._plane.guard.release(self._process.pid)
        self._process = None


def _answers(url: str) -> bool:
    context = ssl._create_unverified_context() if url.startswith("https") else None
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_ports(count: int) -> list[int]:
    """Ports below the kernel's range for outgoing connections.

    Within it a client that retries while the API server is down may be given that very port, and keep it.
    """
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = random.randrange(12000, 30000)
            candidate = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                candidate.bind(("127.0.0.1", port))
                found.append(port)
    return found


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
