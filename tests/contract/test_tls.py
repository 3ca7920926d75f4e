"""sslmode=verify-full: the server's certificate must be by the authority that we were given, and name the host."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from authority import Authority
from tuning_store import address, schema
from tuning_store.exceptions import StoreUnavailable
from tuning_store.store import open_store
from tuning_store.tenants import create, create_role, tenant_of
from tuning_store.urls import driver_url, engine_arguments


@dataclass(frozen=True)
class Server:
    """A PostgreSQL that takes no login without TLS."""

    port: int
    authority: Authority

    def url(self, host: str = "localhost", **query: str) -> str:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return f"postgresql://postgres:secret@{host}:{self.port}/postgres" + (f"?{asked}" if asked else "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Debian's PostgreSQL, for the embedded one is built without TLS: apt-get install postgresql."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        pytest.skip("needs a PostgreSQL with TLS: apt-get install postgresql")
    user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    authority = Authority("the right authority")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:  # which that user may enter, unlike pytest's
        home = Path(folder)
        home.chmod(0o755)
        data, certificate, key = home / "data", home / "server.crt", home / "server.key"
        data.mkdir()
        for path, content in zip((certificate, key), authority.issue("localhost"), strict=True):
            path.touch(mode=0o600)
            path.write_text(content)
        if user:
            for path in (data, certificate, key):
                shutil.chown(path, user)
        initdb = [str(programs[-1].with_name("initdb")), "-D", str(data), "-U", "postgres", "-A", "trust"]
        subprocess.run(initdb, user=user, cwd="/", check=True, capture_output=True)
        (data / "pg_hba.conf").write_text("hostssl all all all trust\n")
        settings = {"listen_addresses": "localhost", "port": port, "unix_socket_directories": ""}
        settings |= {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (tmp_path_factory.mktemp("tls") / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(programs[-1]), "-D", str(data), *flags], user=user, cwd="/", stdout=log, stderr=log
            )
        try:
            found = Server(port, authority)
            until = time.monotonic() + 30
            while not answers(found.url(sslmode="require")) and time.monotonic() < until:
                time.sleep(0.05)
            yield found
        finally:
            process.terminate()
            process.wait()


def answers(url: str) -> bool:
    engine = create_engine(driver_url(url), **engine_arguments(url))
    try:
        with engine.connect() as connection:
            return bool(connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).scalar())
    except Exception:
        return False
    finally:
        engine.dispose()


def mounted(folder: Path, url: str, certificate: str | None) -> Path:
    """A Secret as a pod has it."""
    (folder / "url").write_text(f"{url}\n")
    if certificate is not None:
        (folder / address.CERTIFICATE).write_text(certificate)
    return folder / "url"


def test_a_certificate_beside_the_url_is_all_it_takes(server: Server, tmp_path: Path) -> None:
    url = address.read(mounted(tmp_path, server.url(), server.authority.pem()))
    assert "sslmode=verify-full" in url
    schema.create(url)
    store = open_store(url)
    assert store.storage.get_all_studies() == []
    store.close()


def test_a_namespaces_login_takes_the_certificate_along(server: Server, tmp_path: Path) -> None:
    (tmp_path / "operator").mkdir()
    (tmp_path / "worker").mkdir()
    admin = address.read(mounted(tmp_path / "operator", server.url(), server.authority.pem()))
    tenant = tenant_of("team", "cluster")
    create(admin, tenant)

    url, certificate = address.portable(create_role(admin, tenant))

    assert str(tmp_path) not in url
    assert certificate == server.authority.pem()
    store = open_store(address.read(mounted(tmp_path / "worker", url, certificate)))
    assert store.storage.get_all_studies() == []
    store.close()


WRONG = {
    "an authority that did not sign it": ("localhost", "the wrong authority", "certificate verify failed"),
    "a host that it does not name": ("127.0.0.1", "the right authority", "does not match host name"),
}


@pytest.mark.parametrize(("host", "authority", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_server_that_cannot_prove_who_it_is_gets_no_password(
    server: Server, tmp_path: Path, host: str, authority: str, said: str
) -> None:
    trusted = server.authority if authority == server.authority.name else Authority(authority)
    url = address.read(mounted(tmp_path, server.url(host), trusted.pem()))
    with pytest.raises(StoreUnavailable, match=said):
        schema.create(url)


def test_a_file_that_is_no_certificate_is_told_by_its_name(server: Server, tmp_path: Path) -> None:
    url = address.read(mounted(tmp_path, server.url(), "hello"))
    with pytest.raises(StoreUnavailable, match=address.CERTIFICATE):
        schema.create(url)


def test_what_the_url_says_itself_is_left_to_it(server: Server, tmp_path: Path) -> None:
    url = address.read(mounted(tmp_path, server.url("127.0.0.1", sslmode="verify-ca"), server.authority.pem()))
    assert answers(url)


def test_without_a_certificate_nothing_is_checked_but_what_the_url_asks_for(server: Server, tmp_path: Path) -> None:
    assert address.read(mounted(tmp_path, server.url(), None)) == server.url()
    with pytest.raises(StoreUnavailable, match="root certificate"):
        schema.create(server.url(sslmode="verify-full"))


def test_the_tunnel_keeps_the_name_that_the_certificate_has(server: Server, tmp_path: Path) -> None:
    from tuning_client.cluster.port_forward import through

    certificate = tmp_path / "ca"
    certificate.write_text(server.authority.pem())
    far = address.trusting("postgresql://postgres@localhost:5432/postgres", certificate)
    assert answers(through(far, server.port))


@pytest.mark.parametrize("content", ["", "postgresql://u:hunter2@h:port/d", "not a url hunter2", "\udcff"])
def test_a_file_that_holds_no_url_is_told_without_what_it_holds(tmp_path: Path, content: str) -> None:
    (tmp_path / "url").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(StoreUnavailable, match=r"url does not hold a URL; write postgresql://") as refused:
        address.read(tmp_path / "url")
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
