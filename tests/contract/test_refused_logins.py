"""A login that a PostgreSQL refuses is known by its SQLSTATE, whatever language the server speaks."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import psycopg2
import pymysql
import pytest
import sqlalchemy.exc
from sqlalchemy import create_engine

from tuning_store import login, tenants
from tuning_store.exceptions import AuthenticationRefused, PermissionRefused, StoreError, StoreUnavailable, translated
from tuning_store.retry import RetryPolicy
from tuning_store.store import open_store
from tuning_store.urls import driver_url, engine_arguments

from . import servers

SETUP = (
    "CREATE ROLE known LOGIN PASSWORD 'right'",
    "CREATE ROLE rejected LOGIN PASSWORD 'right'",
    "CREATE ROLE group_only PASSWORD 'right'",
    "CREATE ROLE crowded LOGIN PASSWORD 'right' CONNECTION LIMIT 0",
    "CREATE DATABASE closed",
    "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
)
HBA = """
host all postgres 127.0.0.1/32 trust
host all rejected 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""
CASES = {
    "a wrong password": ("known:wrong@{}/postgres", AuthenticationRefused),
    "an unknown user": ("nobody:x@{}/postgres", AuthenticationRefused),
    "a user whom pg_hba.conf rejects": ("rejected:right@{}/postgres", AuthenticationRefused),
    "a role that may not log in": ("group_only:right@{}/postgres", AuthenticationRefused),
    "an unknown database": ("known:right@{}/nowhere", AuthenticationRefused),
    "a database that is not for this user": ("known:right@{}/closed", PermissionRefused),
    "a role with too many connections": ("crowded:right@{}/postgres", StoreUnavailable),
}


@pytest.fixture(scope="module", params=["C.UTF-8", "de_DE.UTF-8"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """HOST:PORT of Debian's PostgreSQL that speaks this language; the embedded one speaks English alone."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        pytest.skip("needs a PostgreSQL that speaks other languages: apt-get install postgresql")
    with tempfile.TemporaryDirectory() as folder:  # which the server's user may enter, unlike pytest's
        Path(folder).chmod(0o755)
        make_locale(request.param, Path(folder))
        with running(programs[-1], Path(folder), request.param) as address:
            yield address


def make_locale(name: str, folder: Path) -> None:
    language, _, encoding = name.partition(".")
    if language != "C":
        command = [servers.program("localedef", "locales"), "-i", language, "-f", encoding, str(folder / name)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip(f"the locale {name} cannot be made: apt-get install locales")


@contextmanager
def running(program: Path, home: Path, language: str) -> Iterator[str]:
    user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    environment = {"LOCPATH": str(home), "LC_ALL": "C.UTF-8"}
    data, port = home / "data", servers.free_port()
    data.mkdir()
    if user:
        shutil.chown(data, user)
    initdb = [str(program.with_name("initdb")), "-D", str(data), "-U", "postgres", "-A", "trust", "--locale=C.UTF-8"]
    subprocess.run(initdb, user=user, cwd="/", check=True, capture_output=True)
    (data / "pg_hba.conf").write_text(HBA)
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "lc_messages": language}
    flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (home / "log").open("wb") as log:
        command = [str(program), "-D", str(data), *flags]
        process = subprocess.Popen(command, user=user, cwd="/", stdout=log, stderr=log, env=environment)
    try:
        set_up(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", process, home / "log")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def set_up(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, log.read_text()
        try:
            connection = psycopg2.connect(address)
            break
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in SETUP:
            cursor.execute(statement)
    connection.close()


@pytest.mark.parametrize(("address", "expected"), CASES.values(), ids=CASES.keys())
def test_a_login_is_refused_for_what_it_is(server: str, address: str, expected: type[StoreError]) -> None:
    url = f"postgresql://{address.format(server)}"
    with pytest.raises(expected) as by_a_worker:
        open_store(url, worker="w-0", retry=RetryPolicy())
    engine = create_engine(driver_url(url), **engine_arguments(url))
    with pytest.raises(expected) as by_the_operator, translated(), engine.connect():
        pass
    engine.dispose()
    assert str(by_a_worker.value) == str(by_the_operator.value)


def test_the_servers_words_are_its_own(server: str, request: pytest.FixtureRequest) -> None:
    """Otherwise the test above says nothing about other languages."""
    language = request.node.callspec.params["server"]
    with pytest.raises(AuthenticationRefused) as refused:
        open_store(f"postgresql://known:wrong@{server}/postgres", worker="w-0", retry=RetryPolicy())
    words = {"C.UTF-8": "password authentication failed", "de_DE.UTF-8": "Passwort-Authentifizierung"}[language]
    assert words in str(refused.value)


def test_a_password_that_works_again_works(server: str) -> None:
    assert not tenants.login_works(f"postgresql://known:wrong@{server}/postgres")
    assert tenants.login_works(f"postgresql://known:right@{server}/postgres")


def test_a_server_is_asked_once_for_each_reason(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Mock(side_effect=login._ask)
    monkeypatch.setattr(login, "_known", {})
    monkeypatch.setattr(login, "_ask", ask)
    for _ in range(3):
        assert not tenants.login_works(f"postgresql://known:wrong@{server}/postgres")
    ask.assert_called_once()


def test_a_reason_that_could_not_be_learnt_is_asked_for_again(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password was right by the time of the second login."""
    answers = iter([None, "28P01"])
    monkeypatch.setattr(login, "_known", {})
    monkeypatch.setattr(login, "_ask", lambda _: next(answers))
    url = f"postgresql://known:wrong@{server}/postgres"
    assert [tenants.login_works(url), tenants.login_works(url)] == [True, False]


def test_a_server_that_is_not_there_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "_ask", lambda _: pytest.fail("nobody is there to ask"))
    with pytest.raises(StoreUnavailable, match="Connection refused"):
        open_store(f"postgresql://known:right@127.0.0.1:{servers.free_port()}/postgres", retry=RetryPolicy())


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1044, AuthenticationRefused),
        (1045, AuthenticationRefused),
        (1698, AuthenticationRefused),
        (2003, StoreUnavailable),
    ],
)
def test_mysqls_errors_are_known_by_their_numbers(number: int, expected: type[StoreError]) -> None:
    error = pymysql.err.OperationalError(number, "Zugriff verweigert")
    with pytest.raises(expected), translated():
        raise sqlalchemy.exc.OperationalError("SELECT 1", {}, error)
