"""cluster.py against a small API server: what it sends, and what it makes of refusals."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tuning_client import histories
from tuning_client.cluster import client
from tuning_client.exceptions import ClusterError, TuningError, WrongUse
from tuning_client.local import database
from tuning_client.local.database import Database
from tuning_client.target import Target
from tuning_store import rounds
from tuning_store.values import Owner
from tuning_study.api.spec import TuningStudySpec
from tuning_study.round import resolve

STUDIES = "/apis/tuning.dev/v1alpha1/namespaces/team/tuningstudies"


class FakeServer(ThreadingHTTPServer):
    """Answers a path with what `answers` holds for it, and remembers what was written."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.written: list[tuple[str, str | None, Any]] = []
        self.watched: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if "watch=true" in query.lower():
            self._send(200, "".join(json.dumps(event) + "\n" for event in self.server.watched).encode())
            return
        status, body = self.server.answers.get(path, (404, {"message": "the server could not find it"}))
        self._send(status, json.dumps(body).encode())

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.written.append((self.path, self.headers["Content-Type"], body))
        if body.get("metadata", {}).get("resourceVersion", "2") != "2":
            self._send(409, json.dumps({"message": "the object has been modified"}).encode())
            return
        self._send(200, json.dumps({"metadata": {"name": "digits", "resourceVersion": "2"}}).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def kubeconfig(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    url = f"http://127.0.0.1:{server.server_port}"
    path = tmp_path / "config"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "fake", "user": "me", "namespace": "team"}},
            {"name": "two", "context": {"cluster": "fake", "user": "me"}},
        ],
    }
    path.write_text(json.dumps(document))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    return path


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize(
    ("context", "namespace", "want"),
    [(None, None, "team"), ("two", None, "default"), (None, "other", "other"), ("two", "other", "other")],
)
def test_the_namespace_is_the_option_or_the_context(context: str | None, namespace: str | None, want: str) -> None:
    assert client.connect(context, namespace).namespace == want


@pytest.mark.usefixtures("kubeconfig")
def test_an_unknown_context() -> None:
    with pytest.raises(WrongUse, match="--context three"):
        client.connect("three", None)


@pytest.mark.usefixtures("kubeconfig")
def test_reads(server: FakeServer) -> None:
    server.answers[STUDIES] = (200, {"items": [{"metadata": {"name": name}} for name in ("b", "a")]})
    server.answers[f"{STUDIES}/digits"] = (200, {"metadata": {"name": "digits"}, "status": {"state": "Running"}})
    server.answers["/api/v1/namespaces/team/secrets/tuning-store"] = (200, {"data": {"url": "c3FsaXRlOi8v"}})
    connection = client.connect(None, None)
    assert [study["metadata"]["name"] for study in connection.studies()] == ["a", "b"]
    assert connection.study("digits")["status"] == {"state": "Running"}
    assert connection.secret("tuning-store") == {"url": "sqlite://"}


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize(("protocol", "tls"), [("https", True), ("http", False), (None, False)])
def test_a_service_says_whether_it_speaks_https(server: FakeServer, protocol: str | None, tls: bool) -> None:
    body = {"spec": {"ports": [{"port": 8080, "appProtocol": protocol}]}}
    server.answers["/api/v1/namespaces/team/services/tuning-exporter"] = (200, body)
    assert client.connect(None, None).serves_tls("tuning-exporter") is tls


@pytest.mark.usefixtures("kubeconfig")
def test_a_change_is_a_merge_patch_of_what_changes(server: FakeServer) -> None:
    client.connect(None, None).change("digits", {"spec": {"suspend": True}})
    assert server.written == [(f"{STUDIES}/digits", "application/merge-patch+json", {"spec": {"suspend": True}})]


@pytest.mark.usefixtures("kubeconfig", "server")
@pytest.mark.parametrize(("version", "changed"), [("2", True), ("1", False)])
def test_a_change_of_a_study_that_another_has_changed_meanwhile_is_not_made(version: str, changed: bool) -> None:
    read = {"metadata": {"name": "digits", "resourceVersion": version}}
    assert client.connect(None, None).change_unchanged(read, {"spec": {"suspend": True}}) is changed


@pytest.mark.usefixtures("kubeconfig")
def test_follow_ends_with_the_study(server: FakeServer) -> None:
    def version(number: int) -> dict[str, Any]:
        return {"metadata": {"name": "digits", "resourceVersion": str(number)}, "kind": "TuningStudy"}

    server.answers[f"{STUDIES}/digits"] = (200, version(1))
    server.watched = [{"type": "MODIFIED", "object": version(2)}, {"type": "DELETED", "object": version(3)}]
    following = client.connect(None, None).follow("digits")
    assert [next(following)["metadata"]["resourceVersion"] for _ in range(2)] == ["1", "2"]
    with pytest.raises(ClusterError, match="was deleted"):
        next(following)


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize(
    ("status", "message", "kind", "want"),
    [
        (404, 'tuningstudies.tuning.dev "digits" not found', WrongUse, "digits is not there"),
        (404, "404 page not found", ClusterError, "install the chart"),
        (403, "user cannot get", ClusterError, "forbidden"),
        (401, "Unauthorized", ClusterError, "renew your credentials"),
        (422, "spec.budget: a budget needs trials", WrongUse, "a budget needs trials"),
        (500, "etcd is away", ClusterError, "answers 500: etcd is away"),
    ],
)
def test_refusals(server: FakeServer, status: int, message: str, kind: type[TuningError], want: str) -> None:
    server.answers[f"{STUDIES}/digits"] = (status, {"message": message})
    with pytest.raises(kind, match=want) as caught:
        client.connect(None, None).study("digits")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("kubeconfig")
def test_trials_are_read_from_the_store_that_the_secret_names(server: FakeServer, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    given = {"metrics": [{"name": "x", "direction": "Minimize"}], "objective": {"python": {"function": "m:f"}}}
    spec = TuningStudySpec.model_validate(given | {"budget": {"trials": 3}})
    resolved = resolve(spec, namespace="team", name="digits", uid="uid", number=1, versions={})
    with database.opened(Database(url, "a store"), create=True) as store:
        keeper = Owner("cluster")
        rounds.start(store, resolved, digest="d", budget=spec.budget, owner=keeper, points=[{"x": 0.5}])
    secret = {"url": base64.b64encode(url.encode()).decode()}
    server.answers["/api/v1/namespaces/team/secrets/tuning-store"] = (200, {"data": secret})
    status = {"state": "Running", "storage": {"study": resolved.study}}
    server.answers[f"{STUDIES}/digits"] = (200, {"metadata": {"name": "digits"}, "spec": {}, "status": status})

    found = histories.read(Target(), "digits")

    assert [trial.state.name for trial in found.trials] == ["WAITING"]
    assert found.resolved == resolved
    with pytest.raises(WrongUse, match="give the study's name"):
        histories.read(Target(), None)


def test_nobody_listens(server: FakeServer, kubeconfig: Path) -> None:
    kubeconfig.write_text(kubeconfig.read_text().replace(str(server.server_port), "1"))
    with pytest.raises(ClusterError, match="does not answer \\(connection refused\\)"):
        client.connect(None, None).studies()
