"""Where `tuning observe` sends what it is told, and what it says of a refusal."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

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
]


@pytest.mark.parametrize(("refusing", "kind", "sentence"), REFUSALS, indirect=["refusing"])
def test_a_refusal_is_told_in_the_exporters_words(refusing: str, kind: type[TuningError], sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        post(refusing, "token", {})


def test_nobody_who_answers() -> None:
    with pytest.raises(ClusterError, match="does not answer"):
        post("http://127.0.0.1:1/observations", "token", {})
