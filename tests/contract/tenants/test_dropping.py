"""The place of a namespace that is gone is dropped, whatever was made in it and whoever is at work there."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from tuning_store import rounds, tenants
from tuning_store.postgres.progress import read_all
from tuning_store.store import open_store
from tuning_store.urls import driver_url

from .two_tenants import ALL, A, B, begin_round, gone_a, left_of, registry


@pytest.mark.parametrize(
    "made",
    [
        'CREATE TABLE "{schema}".mine AS SELECT 1 AS x',
        'CREATE VIEW "{schema}".mine AS SELECT * FROM "{schema}".trials',
        'CREATE FUNCTION "{schema}".mine() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
        "CREATE TYPE \"{schema}\".mine AS ENUM ('a')",
        'CREATE SEQUENCE "{schema}".mine',
        'DROP TABLE "{schema}".tuning_rounds CASCADE',
        'DROP SCHEMA "{schema}" CASCADE',
        'DROP OWNED BY "{schema}"; DROP ROLE "{schema}"',
    ],
)
def test_whatever_somebody_made_or_dropped_in_the_schema_hinders_nothing(
    postgres_url: str, places: dict[str, str], admin: Engine, made: str
) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql(f'GRANT CREATE ON SCHEMA "{A.schema}" TO "{A.schema}"')
        mine = made.startswith("CREATE")
        if mine:
            connection.exec_driver_sql(f'SET ROLE "{A.schema}"')
        connection.exec_driver_sql(made.replace("{schema}", A.schema))
        connection.exec_driver_sql("RESET ROLE")
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
    assert left_of(admin, A) == set()


def test_what_the_role_owns_outside_its_schema_is_the_administrators_afterwards(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE public.given AS SELECT 1 AS x")
        connection.exec_driver_sql(f'ALTER TABLE public.given OWNER TO "{A.schema}"')
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
    assert left_of(admin, A) == set()
    with admin.connect() as connection:
        assert connection.execute(text("SELECT x FROM public.given")).scalar_one() == 1


@pytest.mark.parametrize("statement", ["SELECT 1", "LOCK TABLE trials", "LOCK TABLE tuning_rounds, studies"])
def test_sessions_of_dying_workers_are_ended(
    postgres_url: str, places: dict[str, str], admin: Engine, statement: str
) -> None:
    engines = [create_engine(driver_url(places[A.schema])) for _ in range(2)]
    with engines[0].connect() as busy, engines[1].connect() as waits:
        busy.exec_driver_sql(statement)
        assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
        for session in (busy, waits):
            with pytest.raises(DBAPIError):
                session.exec_driver_sql("SELECT 1")
            session.invalidate()
    assert left_of(admin, A) == set()
    for engine in engines:
        engine.dispose()


def test_sessions_in_another_database_of_the_server_are_none_of_ours(
    postgres_url: str, postgres_server: str, places: dict[str, str]
) -> None:
    database = make_url(postgres_server).database
    elsewhere = make_url(places[A.schema]).set(database=database).render_as_string(hide_password=False)
    engine = create_engine(driver_url(elsewhere))
    with engine.connect() as session:
        assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
        assert session.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()


def test_a_session_that_is_not_the_tenants_halts_the_cleanup_for_seconds_only(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    other = create_engine(driver_url(postgres_url))
    with other.begin() as connection:
        connection.exec_driver_sql(f'LOCK TABLE "{A.schema}".trials IN ACCESS SHARE MODE')
        kept = tenants.drop(postgres_url, gone_a(postgres_url))
        assert kept == "it cannot be dropped: canceling statement due to lock timeout"
        assert registry(admin)["team-a"] == ("uid-a", True, kept)
        assert left_of(admin, A) == ALL
    other.dispose()
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None


def test_an_administrator_without_the_superusers_rights_drops_what_it_made(
    postgres_url: str, drop_roles: list[str], admin: Engine
) -> None:
    drop_roles.append("manager")
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE manager LOGIN CREATEROLE PASSWORD 'x'")
        connection.exec_driver_sql(f"GRANT CREATE ON DATABASE {make_url(postgres_url).database} TO manager")
    manager = make_url(postgres_url).set(username="manager", password="x").render_as_string(hide_password=False)
    tenants.create(manager, A)
    engine = create_engine(driver_url(tenants.create_role(manager, A)))
    with engine.connect() as session:
        session.exec_driver_sql("LOCK TABLE trials")
        assert tenants.drop(manager, gone_a(manager)) is None
        session.invalidate()
    engine.dispose()
    assert left_of(admin, A) == set()


class Killed(BaseException):
    """The end of a process, at one statement."""


def test_a_cleanup_that_is_killed_at_any_statement_is_made_whole_by_the_next(
    postgres_url: str, drop_roles: list[str], admin: Engine
) -> None:
    for killed_at in range(1, 100):
        tenants.create(postgres_url, A)
        login = tenants.create_role(postgres_url, A)
        gone, seen = gone_a(postgres_url), 0

        def kill(*_: Any, at: int = killed_at) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                raise Killed

        event.listen(Engine, "before_cursor_execute", kill)
        try:
            tenants.drop(postgres_url, gone)
            break
        except Killed:
            pass
        finally:
            event.remove(Engine, "before_cursor_execute", kill)

        if killed_at % 2:  # the namespace comes back instead
            tenants.create(postgres_url, A)
            assert tenants.login_works(login) or tenants.login_works(tenants.create_role(postgres_url, A))
            study = begin_round(postgres_url, A)
            assert tenants.drop(postgres_url, gone) is not None
            with closing(open_store(postgres_url, schema=A.schema)) as store:
                rounds.drop(store, study)
        else:
            assert tenants.drop(postgres_url, gone) is None
            assert left_of(admin, A) == set()
    assert seen > 10
    assert left_of(admin, A) == set()


def test_two_operators_drop_at_once(postgres_url: str, places: dict[str, str], admin: Engine) -> None:
    gone = gone_a(postgres_url)
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: tenants.drop(postgres_url, gone), range(4)))
    assert None in said
    assert left_of(admin, A) == set()
    assert left_of(admin, B) == ALL


def test_who_reads_all_schemas_while_one_is_dropped_reads_the_others(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    study = begin_round(postgres_url, B)
    gone, times = gone_a(postgres_url), 0

    def read(listed: Any) -> Any:
        nonlocal times
        times += 1
        if times == 1:
            assert A.schema in listed
            assert tenants.drop(postgres_url, gone) is None
        return read_all(admin, listed)

    assert set(tenants.in_all(admin, read)) == {(B.schema, study)}
    assert times == 2
