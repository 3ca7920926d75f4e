"""A namespace's login reads, changes, locks and starves nothing but its own; one that is gone leaves nothing behind."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

import optuna
import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from builders import make_round
from tuning_store import claims, progress, rounds, tenants
from tuning_store.exceptions import PermissionRefused
from tuning_store.storage import open_storage, open_store
from tuning_store.tenants import Tenant, note_living, tenant_of, why_kept
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


# --- namespaces that are gone

OWNER = "cluster"
LIVING = {"team-a": "uid-a", "team-b": "uid-b"}
WITHOUT_A = {"team-b": "uid-b"}


@pytest.fixture
def admin(postgres_url: str) -> Iterator[Engine]:
    engine = create_engine(driver_url(postgres_url), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
def places(postgres_url: str, drop_roles: list[str]) -> dict[str, str]:
    """The logins of A and B, whose namespaces were seen alive; neither holds a round."""
    for tenant in (A, B):
        tenants.create(postgres_url, tenant)
    note_living(postgres_url, OWNER, LIVING)
    return {tenant.schema: tenants.create_role(postgres_url, tenant) for tenant in (A, B)}


def gone_a(url: str) -> tenants.Gone:
    """A's namespace was not there twice."""
    note_living(url, OWNER, WITHOUT_A)
    (gone,) = note_living(url, OWNER, WITHOUT_A)
    return gone


def registry(admin: Engine) -> dict[str, tuple[str | None, bool, str | None]]:
    """Of each namespace its uid, whether it is gone, and why it is kept."""
    with admin.connect() as connection:
        rows = connection.execute(text("SELECT namespace, uid, gone_since IS NOT NULL, kept FROM tuning_admin.tenants"))
        return {row[0]: (row[1], row[2], row[3]) for row in rows}


def left_of(admin: Engine, tenant: Tenant) -> set[str]:
    """Which of a tenant's schema, role and row in the registry there are."""
    look = """
        SELECT 'schema' FROM pg_namespace WHERE nspname = :name UNION
        SELECT 'role' FROM pg_roles WHERE rolname = :name UNION
        SELECT 'row' FROM tuning_admin.tenants WHERE schema = :name
    """
    with admin.connect() as connection:
        return set(connection.execute(text(look), {"name": tenant.schema}).scalars())


ALL = {"schema", "role", "row"}


def test_a_namespace_that_is_gone_leaves_neither_schema_nor_role(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
    assert left_of(admin, A) == set()
    assert left_of(admin, B) == ALL
    assert not tenants.login_works(places[A.schema])
    assert tenants.login_works(places[B.schema])
    assert tenants.schemas(admin) == [B.schema]


def test_the_first_look_only_notes_that_a_namespace_is_gone(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    (gone,) = note_living(postgres_url, OWNER, WITHOUT_A)
    assert gone.since is None
    assert registry(admin) == {"team-a": ("uid-a", True, None), "team-b": ("uid-b", False, None)}
    assert tenants.drop(postgres_url, gone) is not None
    assert left_of(admin, A) == ALL


def test_since_when_a_namespace_is_gone_outlives_the_operator(postgres_url: str, places: dict[str, str]) -> None:
    first = gone_a(postgres_url)
    assert first.since is not None
    assert note_living(postgres_url, OWNER, WITHOUT_A) == [first]


def test_a_shared_login_leaves_no_schema_either(postgres_url: str, drop_roles: list[str], admin: Engine) -> None:
    tenants.create(postgres_url, A)
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
    assert left_of(admin, A) == set()
    assert tenants.login_works(tenants.shared_url(postgres_url, A))


def test_a_namespace_that_lives_again_is_not_gone(postgres_url: str, places: dict[str, str], admin: Engine) -> None:
    gone = gone_a(postgres_url)
    assert note_living(postgres_url, OWNER, {**LIVING, "team-a": "uid-of-the-second"}) == []
    assert registry(admin)["team-a"] == ("uid-of-the-second", False, None)
    assert tenants.drop(postgres_url, gone) == "a namespace of this name is there again"
    assert left_of(admin, A) == ALL
    assert tenants.login_works(places[A.schema])


def test_a_place_that_is_taken_again_is_not_dropped_by_who_has_not_heard_of_it(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    """Another operator, or this one before its next look."""
    gone = gone_a(postgres_url)
    assert A.schema not in tenants.made(admin), "who comes back asks for its place"
    tenants.create(postgres_url, A)
    assert tenants.drop(postgres_url, gone) is not None
    assert registry(admin)["team-a"] == ("uid-a", False, None)
    assert left_of(admin, A) == ALL


def test_a_namespace_that_went_again_is_gone_since_then(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    before = gone_a(postgres_url)
    note_living(postgres_url, OWNER, LIVING)
    again = gone_a(postgres_url)
    assert tenants.drop(postgres_url, before) is not None, "that was another time"
    assert tenants.drop(postgres_url, again) is None
    assert left_of(admin, A) == set()


def test_namespaces_of_another_cluster_are_none_of_ours(
    postgres_url: str, places: dict[str, str], drop_roles: list[str], admin: Engine
) -> None:
    theirs = tenant_of("team-a", "another cluster")
    drop_roles.append(theirs.schema)
    tenants.create(postgres_url, theirs)
    tenants.create_role(postgres_url, theirs)
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
    assert left_of(admin, A) == set()
    assert left_of(admin, theirs) == ALL


def begin_round(url: str, tenant: Tenant, *, retain: bool = False) -> str:
    resolved = make_round(namespace=tenant.namespace)
    with closing(open_store(url, schema=tenant.schema)) as store:
        start_round(store, resolved, retain=retain)
    return resolved.study


def test_what_is_retained_is_kept_and_the_registry_says_so(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    study = begin_round(postgres_url, A, retain=True)
    gone = gone_a(postgres_url)
    assert tenants.drop(postgres_url, gone) == "1 round is retained"
    assert registry(admin)["team-a"] == ("uid-a", True, "1 round is retained")
    assert tenants.login_works(places[A.schema])
    assert note_living(postgres_url, OWNER, WITHOUT_A)[0].kept == "1 round is retained"

    with closing(open_store(postgres_url, schema=A.schema)) as store:
        rounds.drop(store, study)
    assert tenants.drop(postgres_url, gone) is None
    assert left_of(admin, A) == set()


def test_a_study_that_plain_optuna_made_is_kept_until_somebody_drops_the_schema(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    storage = open_storage(places[A.schema])
    optuna.create_study(storage=storage, study_name="mine")
    storage.remove_session()
    gone = gone_a(postgres_url)
    assert tenants.drop(postgres_url, gone) == "1 study is of plain Optuna: 'mine'"
    assert left_of(admin, A) == ALL

    with admin.connect() as connection:
        connection.exec_driver_sql(f'DROP SCHEMA "{A.schema}" CASCADE')
    assert tenants.drop(postgres_url, gone) is None
    assert left_of(admin, A) == set()


def test_a_round_that_begins_after_the_first_look_is_kept(
    postgres_url: str, places: dict[str, str], admin: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A namespace is there again, and an operator that knew its place has begun a round in it."""
    shut_out = tenants._shut_out

    def and_a_round_begins(*arguments: Any) -> str | None:
        found = shut_out(*arguments)
        begin_round(postgres_url, A)
        return found

    monkeypatch.setattr(tenants, "_shut_out", and_a_round_begins)
    assert tenants.drop(postgres_url, gone_a(postgres_url)) == "1 round is not dropped yet"
    assert left_of(admin, A) == ALL


@pytest.mark.parametrize(
    ("rounds_there", "studies", "readers", "want"),
    [
        ({}, [], [], None),
        ({"team/s/u/r1": True, "team/s/u/r2": True}, ["team/s/u/r1"], [], "2 rounds are retained"),
        ({"team/s/u/r1": False}, ["team/s/u/r1"], [], "1 round is not dropped yet"),
        # A start, or a removal, that was cut off half way: Optuna's study without its round.
        ({}, ["team/s/u/r1"], [], None),
        ({}, ["yours", "mine"], [], "2 studies are of plain Optuna: 'mine'"),
        # What a login wrote under another's name keeps nothing, unless it asks for it by its own right.
        ({"other/s/u/r1": False}, ["other/s/u/r1"], [], None),
        ({"other/s/u/r1": True}, ["other/s/u/r1"], [], "1 round is retained"),
        ({}, [], ["reports.all"], "read from elsewhere: reports.all"),
        ({"team/s/u/r1": True, "team/s/u/r2": False}, [], [], "1 round is retained; 1 round is not dropped yet"),
    ],
)
def test_why_a_schema_is_kept(
    rounds_there: dict[str, bool], studies: list[str], readers: list[str], want: str | None
) -> None:
    assert why_kept("team", rounds_there, studies, readers) == want


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


def test_a_role_that_another_database_needs_is_kept_until_it_does_not(
    postgres_url: str, postgres_server: str, places: dict[str, str], admin: Engine
) -> None:
    server = create_engine(driver_url(postgres_server), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f'CREATE TABLE public.needs AS SELECT 1; GRANT SELECT ON needs TO "{A.schema}"')
        try:
            kept = tenants.drop(postgres_url, gone_a(postgres_url))
            assert kept is not None
            assert kept.startswith("its role is needed elsewhere: 1 object in database")
            assert left_of(admin, A) == {"role", "row"}
            assert registry(admin)["team-a"] == ("uid-a", True, kept)
        finally:
            connection.exec_driver_sql("DROP TABLE public.needs")
    server.dispose()
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
    assert left_of(admin, A) == set()


@pytest.mark.parametrize(
    "reader",
    [
        'CREATE VIEW reports.reader AS SELECT * FROM "{schema}".trials',
        'CREATE MATERIALIZED VIEW reports.reader AS SELECT * FROM "{schema}".trials',
        'CREATE TABLE reports.reader (study int REFERENCES "{schema}".studies)',
    ],
)
def test_what_is_read_from_elsewhere_is_kept_with_its_reader(
    postgres_url: str, places: dict[str, str], admin: Engine, reader: str
) -> None:
    """CASCADE would drop a platform engineer's view of all namespaces with the first that goes."""
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE SCHEMA reports")
        connection.exec_driver_sql(reader.replace("{schema}", A.schema))
    assert tenants.drop(postgres_url, gone_a(postgres_url)) == "read from elsewhere: reports.reader"
    assert left_of(admin, A) == ALL


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


def test_an_administrator_who_may_not_drop_it_says_so(
    postgres_url: str, places: dict[str, str], drop_roles: list[str], admin: Engine
) -> None:
    drop_roles.append("another")
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE another LOGIN CREATEROLE PASSWORD 'x'")
        connection.exec_driver_sql("GRANT USAGE, CREATE ON SCHEMA tuning_admin TO another")
        connection.exec_driver_sql("GRANT ALL ON tuning_admin.tenants TO another")
    another = make_url(postgres_url).set(username="another", password="x").render_as_string(hide_password=False)
    kept = tenants.drop(another, gone_a(postgres_url))
    assert kept is not None
    assert kept.startswith("it cannot be dropped: permission denied")
    assert registry(admin)["team-a"] == ("uid-a", True, kept)
    assert left_of(admin, A) == ALL


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


def test_a_role_that_may_not_log_in_any_more_is_a_login_that_does_not_work(
    places: dict[str, str], admin: Engine
) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql(f'ALTER ROLE "{A.schema}" NOLOGIN')
    assert not tenants.login_works(places[A.schema])


def test_two_operators_drop_at_once(postgres_url: str, places: dict[str, str], admin: Engine) -> None:
    gone = gone_a(postgres_url)
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: tenants.drop(postgres_url, gone), range(4)))
    assert None in said
    assert left_of(admin, A) == set()
    assert left_of(admin, B) == ALL


def test_a_registry_of_an_older_operator_learns_the_uid_while_the_namespace_lives(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE tuning_admin.tenants DROP uid, DROP gone_since, DROP kept")
    assert note_living(postgres_url, OWNER, WITHOUT_A)[0].tenant == A
    assert registry(admin) == {"team-a": (None, True, None), "team-b": ("uid-b", False, None)}
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None, "it went before anybody learnt its uid"
    assert left_of(admin, A) == set()


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
        return progress.read_all(admin, listed)

    assert set(tenants.in_all(admin, read)) == {(B.schema, study)}
    assert times == 2
