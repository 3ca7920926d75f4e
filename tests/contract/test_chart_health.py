"""What `helm test` runs (charts/tuning-operator/files/health.py), against servers that begin late or never."""

import importlib.util
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).parents[2] / "charts/tuning-operator/files/health.py"


@pytest.fixture
def health() -> ModuleType:
    spec = importlib.util.spec_from_file_location("health", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def address() -> tuple[str, int]:
    """Where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host, port = free.getsockname()
    return host, port


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *_: object) -> None: ...


def test_a_service_whose_pod_the_node_does_not_route_to_yet_is_asked_again(
    health: ModuleType, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    servers: list[HTTPServer] = []

    def listen_while_the_check_waits(_: float) -> None:
        servers.append(HTTPServer(address, Ready))
        threading.Thread(target=servers[0].handle_request).start()

    monkeypatch.setattr(health.time, "sleep", listen_while_the_check_waits)
    assert health.ready(f"http://{address[0]}:{address[1]}/readyz") == "ok"
    servers[0].server_close()


def test_a_service_that_never_answers_ends_the_check_with_why(health: ModuleType, address: tuple[str, int]) -> None:
    url = f"http://{address[0]}:{address[1]}/readyz"
    with pytest.raises(SystemExit, match=f"{url} is not ready after 0 s: .*refused"):
        health.ready(url, patience=0)
