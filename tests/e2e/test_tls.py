"""TLS through the whole chart: nobody logs in to a database that cannot prove who it is."""

import base64
import json
from collections.abc import Iterator

import pytest

from authority import Authority
from e2e.conftest import Kubectl, eventually, install

pytestmark = pytest.mark.cluster

DATABASE = """
apiVersion: v1
kind: Service
metadata: {name: database}
spec:
  selector: {app: database}
  ports: [{port: 5432}]
---
apiVersion: v1
kind: Pod
metadata:
  name: database
  labels: {app: database}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsNonRoot: true, runAsUser: 999, fsGroup: 999, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: postgresql
      image: postgres:17
      command: [sh, -ec]
      args:
        - |
          echo secret >/tmp/password
          initdb -D /tmp/data -U postgres --pwfile /tmp/password
          printf 'local all all trust\\nhostssl all all all scram-sha-256\\n' >/tmp/data/pg_hba.conf
          exec postgres -D /tmp/data -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off \\
            -c ssl=on -c ssl_cert_file=/tls/tls.crt -c ssl_key_file=/tls/tls.key
      readinessProbe: {tcpSocket: {port: 5432}, periodSeconds: 1}
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: tls, mountPath: /tls}]
  volumes: [{name: tls, secret: {secretName: database, defaultMode: 0440}}]
"""

STUDY = """
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: encrypted}
spec:
  metrics: [{name: loss, direction: Minimize}]
  parameters: [{name: x, type: Float, min: 0, max: 1}]
  objective: {command: {command: [sh, -c], args: ["sleep 0.5; echo loss={x}"]}}
  budget: {trials: 20}
  workers: {replicas: 2}
"""


def secret(name: str, **data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})


def put_url(system: Kubectl, database: Kubectl, certificate: str) -> None:
    """What the chart is given: an administrator's URL, and whom to trust."""
    url = f"postgresql://postgres:secret@database.{database.namespace}.svc:5432/postgres"
    system.apply(secret("tuning-db", **{"url": url, "ca.crt": certificate}))


@pytest.fixture
def authority(system: Kubectl, kubectl: Kubectl) -> Iterator[Authority]:
    """Signed the certificate of the PostgreSQL that the chart uses during the test; its own is put back after it."""
    signer = Authority("the right authority")
    certificate, key = signer.issue(f"database.{kubectl.namespace}.svc")
    kubectl.apply(secret("database", **{"tls.crt": certificate, "tls.key": key}))
    kubectl.apply(DATABASE)
    kubectl("wait --for=condition=Ready pod/database --timeout=60s")
    put_url(system, kubectl, Authority("the wrong authority").pem())
    try:
        install("externalPostgresql.existingSecret=tuning-db", "externalPostgresql.caKey=ca.crt")
        yield signer
        kubectl("delete tstudy --all --timeout=30s")
    finally:
        install()
        system("delete secret tuning-db")


def test_a_wrong_certificate_is_told_and_with_the_right_one_every_connection_is_encrypted(
    system: Kubectl, kubectl: Kubectl, authority: Authority
) -> None:
    kubectl.apply(STUDY)
    eventually(lambda: _store_is(kubectl, "False"))
    assert "certificate verify failed" in kubectl.condition("encrypted", "StoreReady")["message"]

    put_url(system, kubectl, authority.pem())
    system.refresh("app.kubernetes.io/name=tuning-operator")

    eventually(lambda: _both_workers_are_encrypted(kubectl))
    told = kubectl.get("secret tuning-store")["data"]
    assert base64.b64decode(told["ca.crt"]).decode() == authority.pem()
    assert "sslmode=verify-full" in base64.b64decode(told["url"]).decode()
    kubectl.wait("encrypted", "Complete")
    assert kubectl.status("encrypted")["trials"]["summary"] == "20/20"


def _store_is(kubectl: Kubectl, value: str) -> None:
    assert kubectl.condition("encrypted", "StoreReady")["status"] == value


def _both_workers_are_encrypted(kubectl: Kubectl) -> None:
    query = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename LIKE 'tuning%'"
    found = kubectl(f'exec database -- psql -h /tmp -U postgres -Atc "{query}"').split()
    assert len(found) >= 2
    assert set(found) == {"t"}
