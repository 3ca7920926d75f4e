"""A namespace's login locks and starves nothing but its own."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from tuning_store import tenants
from tuning_store.postgres.progress import read_all
from tuning_store.urls import driver_url, engine_arguments

from .two_tenants import A, B

T = TypeVar("T")


def test_a_tenant_has_as_many_connections_as_it_is_given(postgres_url: str, logins: dict[str, str]) -> None:
    engine = create_engine(driver_url(tenants.create_role(postgres_url, A, connections=2)))
    with engine.connect(), engine.connect(), pytest.raises(OperationalError, match="too many connections for role"):
        engine.connect()
    engine.dispose()
    assert tenants.login_works(logins[B.schema])


def test_one_that_is_full_keeps_its_password(postgres_url: str, logins: dict[str, str]) -> None:
    url = tenants.create_role(postgres_url, A, connections=1)
    engine = create_engine(driver_url(url))
    with engine.connect():
        assert tenants.login_works(url)
    engine.dispose()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("statement_timeout", "2min"), ("idle_in_transaction_session_timeout", "1min"), ("temp_file_limit", "1GB")],
)
def test_a_tenants_accidents_end_by_themselves(as_a: Engine, setting: str, value: str) -> None:
    with as_a.connect() as connection:
        assert connection.execute(text(f"SHOW {setting}")).scalar_one() == value


def test_a_tenant_that_locks_its_tables_halts_the_operator_for_seconds_only(
    postgres_url: str, logins: dict[str, str], as_a: Engine
) -> None:
    """The operator reads all tenants by one statement. Nothing takes the right to lock from who may write."""
    watching, reading = (create_engine(driver_url(postgres_url), **engine_arguments(postgres_url)) for _ in range(2))
    with as_a.connect() as greedy, ThreadPoolExecutor(1) as beside:
        greedy.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
        greedy.exec_driver_sql("LOCK TABLE trials IN ACCESS EXCLUSIVE MODE")
        found = beside.submit(read_all, reading, [A.schema, B.schema])
        assert eventually(lambda: tenants.end_blocking_sessions(watching, 0.1)) == ["team-a"]
        assert {entry.schema for entry in found.result(10).values()} == {A.schema, B.schema}
        greedy.invalidate()
    assert tenants.end_blocking_sessions(watching, 0.1) == []
    for engine in (watching, reading):
        engine.dispose()


def test_honest_sessions_that_wait_in_front_are_spared(postgres_url: str, logins: dict[str, str], as_a: Engine) -> None:
    watching, waiting = (create_engine(driver_url(postgres_url), **engine_arguments(postgres_url)) for _ in range(2))
    statement = f'SELECT * FROM "{A.schema}".tuning_rounds FOR UPDATE'
    with as_a.connect() as greedy, as_a.connect() as honest, ThreadPoolExecutor(2) as beside:
        greedy.exec_driver_sql("SELECT * FROM tuning_rounds FOR UPDATE")
        first = beside.submit(lambda: honest.exec_driver_sql(statement).all())
        assert eventually(lambda: waiters(watching) == 1)
        second = beside.submit(locked, waiting, statement)
        assert eventually(lambda: tenants.end_blocking_sessions(watching, 0.1)) == ["team-a"]
        assert len(first.result(10)) == 1
        honest.rollback()
        assert second.result(10) == 1
        greedy.invalidate()
    for engine in (watching, waiting):
        engine.dispose()


def locked(engine: Engine, statement: str) -> int:
    with engine.begin() as connection:
        return len(connection.exec_driver_sql(statement).all())


def waiters(engine: Engine) -> int:
    with engine.connect() as connection:
        found = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return int(connection.execute(text(found)).scalar_one())


def eventually(look: Callable[[], T], seconds: float = 20) -> T:
    until = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return found
