"""A namespace's login reads, changes, locks and starves nothing but its own."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from builders import make_round
from tuning_store import claims, progress, rounds, tenants
from tuning_store.exceptions import PermissionRefused
from tuning_store.storage import open_store
from tuning_store.tenants import tenant_of
from tuning_store.urls import driver_url, engine_arguments
from tuning_store.values import Claimed

from .conftest import start_round

T = TypeVar("T")
A, B = tenant_of("team-a", "cluster"), tenant_of("team-b", "cluster")
MINE, THEIRS = tenant_of("mine", "cluster"), tenant_of("theirs", "cluster")


@pytest.fixture
def drop_roles(postgres_url: str) -> Iterator[list[str]]:
    """Roles are the server's, not a database's: those that a test names here are dropped at its end."""
    made = [A.schema, B.schema]
    yield made
    engine = create_engine(driver_url(postgres_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for role in made:
            if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first():
                connection.exec_driver_sql(f'DROP OWNED BY "{role}"')
                connection.exec_driver_sql(f'DROP ROLE "{role}"')
    engine.dispose()


@pytest.fixture
def logins(postgres_url: str, drop_roles: list[str]) -> dict[str, str]:
    """The URL of each of two tenants, both of which have a round."""
    found = {}
    for tenant, namespace in ((A, "team-a"), (B, "team-b")):
        tenants.create(postgres_url, tenant)
        store = open_store(postgres_url, schema=tenant.schema)
        start_round(store, make_round(namespace=namespace))
        store.close()
        found[tenant.schema] = tenants.create_role(postgres_url, tenant)
    return found


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


@pytest.fixture
def as_a(logins: dict[str, str]) -> Iterator[Engine]:
    engine = create_engine(driver_url(logins[A.schema]))
    yield engine
    engine.dispose()


def test_a_worker_does_its_work_with_its_tenants_login(logins: dict[str, str]) -> None:
    name = make_round(namespace="team-a").study
    store = open_store(logins[A.schema], worker="w-0")
    study = store.load_study(name)
    claims.beat(store.engine, study._study_id, "w-0")
    taken = claims.claim(store.engine, study._study_id, "w-0")
    assert isinstance(taken, Claimed)
    study.get_trials()
    store.storage.set_trial_user_attr(taken.trial_id, "a", 1)
    from optuna.trial import TrialState

    assert store.storage.set_trial_state_values(taken.trial_id, TrialState.COMPLETE, [1.0])
    assert rounds.find(store.engine, name) == study._study_id
    store.close()


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


def test_the_administrator_knows_whose_schema_is_whose(postgres_url: str, logins: dict[str, str]) -> None:
    engine = create_engine(driver_url(postgres_url))
    with engine.connect() as connection:
        assert tenants.registered(connection) == [A, B]
    engine.dispose()


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
        found = beside.submit(progress.read_all, reading, [A.schema, B.schema])
        assert eventually(lambda: tenants.end_blockers(watching, 0.1)) == ["team-a"]
        assert {entry.schema for entry in found.result(10).values()} == {A.schema, B.schema}
        greedy.invalidate()
    assert tenants.end_blockers(watching, 0.1) == []
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
        assert eventually(lambda: tenants.end_blockers(watching, 0.1)) == ["team-a"]
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


def test_two_operators_make_a_tenant_at_once(postgres_url: str, drop_roles: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda tenant: tenants.create(postgres_url, tenant), [A, B] * 4))
        urls = list(pool.map(lambda tenant: tenants.create_role(postgres_url, tenant), [A, B] * 4))
    assert all(map(tenants.login_works, urls))


def test_no_statement_holds_a_password(postgres_url: str, logins: dict[str, str]) -> None:
    """A server may log statements."""
    seen: list[str] = []

    def see(*of: Any) -> None:
        seen.append(of[2])

    event.listen(Engine, "before_cursor_execute", see)
    try:
        url = tenants.create_role(postgres_url, A)
    finally:
        event.remove(Engine, "before_cursor_execute", see)
    assert any("PASSWORD" in statement for statement in seen)
    assert not [statement for statement in seen if str(make_url(url).password) in statement]


def test_a_tenant_finds_only_its_own_rounds(as_a: Engine) -> None:
    with as_a.connect() as connection:
        names = connection.execute(text("SELECT study_name FROM studies")).scalars().all()
    assert names == [make_round(namespace="team-a").study]


def test_making_a_tenant_again_keeps_its_data_and_changes_its_password(
    postgres_url: str, logins: dict[str, str]
) -> None:
    tenants.create(postgres_url, A)
    again = tenants.create_role(postgres_url, A)
    assert again != logins[A.schema]
    assert tenants.login_works(again)
    store = open_store(again)
    assert rounds.find(store.engine, make_round(namespace="team-a").study)
    store.close()


def test_a_login_works_or_not(postgres_url: str, logins: dict[str, str]) -> None:
    """The embedded server trusts every local login, so that a role that is not there stands for a wrong password."""
    assert tenants.login_works(logins[A.schema])
    nobody = make_url(logins[A.schema]).set(username="nobody").render_as_string(hide_password=False)
    nowhere = make_url(logins[A.schema]).set(database="nowhere").render_as_string(hide_password=False)
    assert not tenants.login_works(nobody)
    assert not tenants.login_works(nowhere)
    assert tenants.login_works("postgresql://u:p@127.0.0.1:1/d")  # as far as one can tell


def test_an_administrator_who_may_not_make_roles_is_told(postgres_url: str, drop_roles: list[str]) -> None:
    drop_roles.append("managed")
    engine = create_engine(driver_url(postgres_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE managed LOGIN PASSWORD 'x'")
        database = make_url(postgres_url).database
        connection.exec_driver_sql(f"GRANT CREATE ON DATABASE {database} TO managed")
    engine.dispose()
    managed = make_url(postgres_url).set(username="managed", password="x").render_as_string(hide_password=False)
    tenants.create(managed, A)
    with pytest.raises(PermissionRefused, match="permission denied"):
        tenants.create_role(managed, A)
    shared = tenants.shared_url(managed, A)
    assert tenants.login_works(shared)
    store = open_store(shared)
    start_round(store, make_round(namespace="team-a"))
    store.close()
    directly = open_store(managed, schema=A.schema)
    assert rounds.find(directly.engine, make_round(namespace="team-a").study)
    directly.close()


def test_an_administrator_who_may_not_make_schemas_is_told(postgres_url: str, logins: dict[str, str]) -> None:
    with pytest.raises(PermissionRefused, match="permission denied"):
        tenants.create(logins[A.schema], tenant_of("team-c", "cluster"))


def test_only_schemas_with_our_tables_are_tenants(postgres_url: str, logins: dict[str, str]) -> None:
    engine = create_engine(driver_url(postgres_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA tuning_empty")
        connection.exec_driver_sql("CREATE SCHEMA tuningxother")
        connection.exec_driver_sql("CREATE TABLE tuningxother.tuning_rounds (x int)")
    assert sorted(map(str, tenants.schemas(engine))) == sorted([A.schema, B.schema])
    engine.dispose()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("a", "cluster-1"), ("a", "cluster-2")),
        (("a" * 60 + "b", "c"), ("a" * 60 + "c", "c")),
        (("a-b", "c"), ("a_b", "c")),
    ],
)
def test_two_namespaces_never_share_a_schema(left: tuple[str, str], right: tuple[str, str]) -> None:
    assert tenant_of(*left) != tenant_of(*right)
    assert len(tenant_of(*left).schema) <= 63
    assert tenant_of(*left) == tenant_of(*left)


def test_what_was_made_is_not_made_again(postgres_url: str, drop_roles: list[str]) -> None:
    engine = create_engine(driver_url(postgres_url))
    assert tenants.made(engine) == set(), "there is no registry yet"
    for tenant in (A, B):
        tenants.create(postgres_url, tenant)
    assert tenants.made(engine) == {A.schema, B.schema}
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE tuning_admin.tenants SET version = 'old' WHERE schema = '{A.schema}'")
        connection.exec_driver_sql(f'DROP SCHEMA "{B.schema}" CASCADE')
    assert tenants.made(engine) == set()
    tenants.create(postgres_url, A)
    assert tenants.made(engine) == {A.schema}
    engine.dispose()


def test_a_registry_that_an_older_operator_made_goes_on(postgres_url: str, drop_roles: list[str]) -> None:
    engine = create_engine(driver_url(postgres_url))
    tenants.create(postgres_url, A)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE tuning_admin.tenants DROP COLUMN version")
    assert tenants.made(engine) == set()
    with engine.connect() as connection:
        assert tenants.registered(connection) == [A]
    tenants.create(postgres_url, B)
    assert tenants.made(engine) == {B.schema}
    engine.dispose()
