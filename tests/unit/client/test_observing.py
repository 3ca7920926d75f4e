"""Where `tuning observe` sends what it is told, and what it says of a refusal."""

import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from authority import Authority
from tuning_client.cluster.observing import exporter_at, post
from tuning_client.cluster.port_forward import Service
from tuning_client.exceptions import ClusterError, TuningError, WrongUse


def test_the_exporter_is_named_by_its_namespace_and_service() -> None:
    assert exporter_at("tuning/tuning-exporter") == Service("tuning-exporter", "tuning", 8080)


@pytest.mark.parametrize("place", ["", "tuning-exporter", "/x", "a/b/c"])
def test_anything_else_is_none(place: str) -> None:
    with pytest.raises(WrongUse, match="such as tuning/tuning-exporter"):
        exporter_at(place)


@pytest.fixture
def refusing(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that answers everything with a status and a body."""
    status, body = request.param

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/observations"
        server.shutdown()


REFUSALS: list[tuple[tuple[int, bytes], type[TuningError], str]] = [
    (
        (422, b'{"error": "not stored", "problems": ["team/d: f1: no such"]}'),
        WrongUse,
        "not stored; team/d: f1: no such",
    ),
    ((503, b'{"error": "not stored: away"}'), ClusterError, "not stored: away"),
    ((502, b"<html>"), ClusterError, "the exporter answers: <html>"),
    ((200, b"<html>"), ClusterError, "there is no exporter: what answers sends no JSON"),
]


@pytest.mark.parametrize(("refusing", "kind", "sentence"), REFUSALS, indirect=["refusing"])
def test_a_refusal_is_told_in_the_exporters_words(refusing: str, kind: type[TuningError], sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        post(refusing, "token", {})


def test_nobody_who_answers() -> None:
    with pytest.raises(ClusterError, match="does not answer"):
        post("http://127.0.0.1:1/observations", "token", {})


def test_an_exporter_with_a_certificate_is_reached_through_the_tunnel(tmp_path: Path) -> None:
    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"stored": 1}')

        def log_message(self, *_: object) -> None:
            pass

    taken: list[bytes] = []
    for name, text in zip(("tls.crt", "tls.key"), Authority("any").issue("tuning-exporter.tuning.svc"), strict=True):
        (tmp_path / name).write_text(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.handle_request, daemon=True).start()
        told = post(f"https://127.0.0.1:{server.server_port}/observations", "token", {"a": 1})
    assert told == {"stored": 1}
    assert taken == [b'{"a": 1}']
