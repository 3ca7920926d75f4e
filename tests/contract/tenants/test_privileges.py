"""A namespace's login reads and changes nothing but its own, and sees nobody else."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from builders import make_round
from contract.conftest import start_round
from tuning_store import tenants
from tuning_store.store import open_store
from tuning_store.tenants import tenant_of
from tuning_store.urls import driver_url

MINE, THEIRS = tenant_of("mine", "cluster"), tenant_of("theirs", "cluster")


@pytest.fixture(scope="module")
def neighbours(postgres_server: str) -> Iterator[str]:
    """A database of two tenants, for tests that change nothing; the administrator's URL."""
    url = make_url(postgres_server).set(database="neighbours").render_as_string(hide_password=False)
    admin = create_engine(driver_url(postgres_server), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE neighbours")
    for tenant in (MINE, THEIRS):
        tenants.create(url, tenant)
        tenants.create_role(url, tenant)
        store = open_store(url, schema=tenant.schema)
        start_round(store, make_round(namespace=tenant.namespace))
        store.close()
    yield url
    with admin.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE neighbours WITH (FORCE)")
        connection.exec_driver_sql(f'DROP ROLE "{MINE.schema}", "{THEIRS.schema}"')
    admin.dispose()


@pytest.fixture(scope="module")
def neighbour(neighbours: str) -> Iterator[Engine]:
    """One of the two."""
    engine = create_engine(driver_url(tenants.create_role(neighbours, MINE)), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def administrator(neighbours: str) -> Iterator[int]:
    """The process that serves a session of the administrator's."""
    engine = create_engine(driver_url(neighbours))
    with engine.connect() as connection:
        yield connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    engine.dispose()


FORBIDDEN = [
    # another's rows and tables, and the structure of one's own
    f'SELECT * FROM "{THEIRS.schema}".tuning_rounds',
    f'SELECT * FROM "{THEIRS.schema}".trials',
    f'TABLE "{THEIRS.schema}".tuning_shares',
    f'UPDATE "{THEIRS.schema}".tuning_rounds SET trials = 1',
    f'DELETE FROM "{THEIRS.schema}".studies',
    f"INSERT INTO \"{THEIRS.schema}\".studies (study_name) VALUES ('x')",
    f"SELECT nextval('\"{THEIRS.schema}\".studies_study_id_seq')",
    f'BEGIN; LOCK TABLE "{THEIRS.schema}".trials IN ACCESS SHARE MODE',
    f"SELECT pg_get_viewdef('\"{THEIRS.schema}\".trials'::regclass)",
    f'CREATE TABLE "{THEIRS.schema}".mine (x int)',
    f'CREATE TABLE "{MINE.schema}".mine (x int)',
    f'DROP TABLE "{MINE.schema}".trials',
    f'TRUNCATE "{MINE.schema}".trials',
    f'ALTER TABLE "{MINE.schema}".trials ADD COLUMN x int',
    f'ALTER TABLE "{MINE.schema}".trials DISABLE TRIGGER ALL',
    f'CREATE FUNCTION "{MINE.schema}".f() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
    # which schema is whose
    "SELECT * FROM tuning_admin.tenants",
    "BEGIN; LOCK TABLE tuning_admin.tenants IN ACCESS SHARE MODE",
    # what all roles have in common
    "CREATE TABLE public.mine (x int)",
    "CREATE TEMPORARY TABLE mine (x int)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'x')",
    # what others do
    "SELECT * FROM pg_stat_activity",
    "SELECT * FROM pg_stat_get_activity(NULL)",
    "SELECT * FROM pg_locks",
    "SELECT * FROM pg_stat_user_tables",
    f"SELECT pg_total_relation_size(oid) FROM pg_class WHERE relnamespace <> '{MINE.schema}'::regnamespace",
    # other roles and other sessions
    f'SET ROLE "{THEIRS.schema}"',
    f'SET SESSION AUTHORIZATION "{THEIRS.schema}"',
    f"ALTER ROLE \"{THEIRS.schema}\" PASSWORD 'x'",
    f'ALTER ROLE "{MINE.schema}" CONNECTION LIMIT -1',
    f'ALTER ROLE "{MINE.schema}" SET temp_file_limit = -1',
    "SET temp_file_limit = -1",
    "SELECT rolpassword FROM pg_authid",
    "CREATE ROLE mine",
    "SELECT pg_terminate_backend(pid) FROM (SELECT unnest(ARRAY[{administrator}])) AS s(pid)",
    "SELECT pg_cancel_backend({administrator})",
    # the machine
    "SELECT pg_read_file('/etc/hostname')",
    "SELECT pg_ls_dir('/')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY trials TO '/tmp/trials'",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION postgres_fdw",
    "ALTER SYSTEM SET max_connections = 1",
    "CREATE DATABASE mine",
    "CREATE PUBLICATION mine FOR ALL TABLES",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_a_tenant_may_not(neighbour: Engine, administrator: int, statement: str) -> None:
    words = "permission denied|must be owner|must be superuser|must be able to|not available|not have sufficient"
    with neighbour.connect() as connection:
        try:
            with pytest.raises(DBAPIError, match=words):
                connection.exec_driver_sql(statement.replace("{administrator}", str(administrator))).all()
        finally:
            connection.invalidate()


@pytest.mark.parametrize(
    "listing",
    [
        "SELECT nspname FROM pg_namespace",
        "SELECT rolname FROM pg_roles",
        "SELECT schemaname || tablename FROM pg_tables",
        "SELECT schema_name FROM information_schema.schemata",
        "SELECT table_schema || table_name FROM information_schema.tables",
        "SELECT description FROM pg_description",
        "SELECT description FROM pg_shdescription",
        "SELECT setconfig::text FROM pg_db_role_setting",
        "SELECT prosrc FROM pg_proc WHERE pronamespace <> 'pg_catalog'::regnamespace",
        "SELECT most_common_vals::text FROM pg_stats",
    ],
)
def test_no_listing_tells_a_tenant_who_else_is_there(neighbour: Engine, listing: str) -> None:
    with neighbour.connect() as connection:
        found = [str(name) for name in connection.execute(text(listing)).scalars()]
    assert found or "description" in listing
    assert not [name for name in found if "theirs" in name]


def test_a_tenant_finds_only_its_own_rounds(as_a: Engine) -> None:
    with as_a.connect() as connection:
        names = connection.execute(text("SELECT study_name FROM studies")).scalars().all()
    assert names == [make_round(namespace="team-a").study]
