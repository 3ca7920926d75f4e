"""Servers that studies may live on beside PostgreSQL, started for a test session and ended with it.

They need Debian's packages: apt-get install mariadb-server redis-server pgbouncer prometheus
prometheus-alertmanager
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest


def program(name: str, package: str) -> str:
    """The path of a server's program. Where it is missing the test is skipped; in CI it fails."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is not None:
        return found
    if "CI" in os.environ:
        pytest.fail(f"{name} is missing: apt-get install {package}")
    pytest.skip(f"apt-get install {package}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], log: Path, ready: Callable[[], object]) -> Iterator[None]:
    """The command, from when `ready` no longer raises until the end of the block."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, f"{command[0]} ended while starting:\n{log.read_text()[-2000:]}"
            try:
                ready()
                break
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def mariadb(folder: Path) -> Iterator[str]:
    """A MariaDB without passwords; its URL names no database."""
    import pymysql

    server = program("mariadbd", "mariadb-server")
    port, data = free_port(), folder / "data"
    me = [f"--user={os.environ.get('USER', 'root')}"] if os.geteuid() == 0 else []
    subprocess.run(
        [program("mariadb-install-db", "mariadb-server"), "--no-defaults", *me, f"--datadir={data}", "--skip-test-db"],
        check=True,
        capture_output=True,
    )
    command = [
        server,
        "--no-defaults",
        *me,
        *(f"--datadir={data}", f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}"),
        f"--tmpdir={folder}",  # a server that starts removes what others keep in a common one
        *("--skip-grant-tables", "--bind-address=127.0.0.1", f"--port={port}", "--skip-networking=0"),
    ]
    with running(command, folder / "log", lambda: pymysql.connect(host="127.0.0.1", port=port, user="root").close()):
        yield f"mysql://root@127.0.0.1:{port}"


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis that keeps nothing; its URL names no database."""
    server, port = program("redis-server", "redis-server"), free_port()
    command = [server, *("--port", str(port)), *("--bind", "127.0.0.1"), *("--dir", str(folder)), *("--save", "")]
    with running([*command, "--databases", "1000"], folder / "log", lambda: await_port(port)):
        yield f"redis://127.0.0.1:{port}"


def await_port(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=1).close()


@contextmanager
def prometheus(
    folder: Path,
    targets: Sequence[str] = (),
    rules: Path | None = None,
    *alertmanagers: str,
    interval: str = "200ms",
    discovered: Path | None = None,
) -> Iterator[str]:
    """A Prometheus that scrapes the targets (`host:port`) so often, and has done so; its URL.

    In `discovered`, a folder, are further ones, which come and go: files with their labels, as file_sd has them.
    `alertmanagers` are the `host:port` of those that it tells of the rules' alerts.
    """
    static: dict[str, object] = {"job_name": "test", "honor_labels": True}
    static["static_configs"] = [{"targets": list(targets)}]
    found = {"job_name": "found", "file_sd_configs": [{"files": [f"{discovered}/*.json"], "refresh_interval": "1s"}]}
    document: dict[str, object] = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "scrape_configs": [static, *([found] if discovered is not None else [])],
        "rule_files": [str(rules)] if rules else [],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": alertmanagers}]}]},
    }

    def scraped(url: str) -> None:
        query = urllib.parse.quote('sum(up{job="test"}) or vector(0)')  # those discovered come and go meanwhile
        answer = urllib.request.urlopen(f"{url}/api/v1/query?query={query}", timeout=1).read()
        assert int(json.loads(answer)["data"]["result"][0]["value"][1]) == len(targets)

    with configured_prometheus(folder, document, scraped) as url:
        yield url


@contextmanager
def configured_prometheus(
    folder: Path, document: Mapping[str, object], ready: Callable[[str], object] | None = None
) -> Iterator[str]:
    """A Prometheus with this configuration, from when `ready` no longer raises for its URL; its URL."""
    server, port = program("prometheus", "prometheus"), free_port()
    configuration = folder / "prometheus.yaml"
    configuration.write_text(json.dumps(document))
    command = [
        server,
        *(f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}", "--log.level=error"),
        f"--web.listen-address=127.0.0.1:{port}",
        "--rules.alert.resend-delay=1s",  # an Alertmanager that was restarted knows no alert until then
    ]
    url = f"http://127.0.0.1:{port}"
    answers = ready or (lambda url: urllib.request.urlopen(f"{url}/-/ready", timeout=1).close())
    with running(command, folder / "log", lambda: answers(url)):
        yield url


@contextmanager
def alertmanager(folder: Path, configuration: str) -> Iterator[str]:
    """An Alertmanager with this configuration; its `host:port`."""
    server, address = program("prometheus-alertmanager", "prometheus-alertmanager"), f"127.0.0.1:{free_port()}"
    (folder / "alertmanager.yaml").write_text(configuration)
    command = [
        server,
        *(f"--config.file={folder / 'alertmanager.yaml'}", f"--storage.path={folder / 'alertmanager'}"),
        *(f"--web.listen-address={address}", "--cluster.listen-address="),
    ]
    ready = f"http://{address}/-/ready"
    with running(command, folder / "alertmanager.log", lambda: urllib.request.urlopen(ready, timeout=1).close()):
        yield address
