"""A namespace sees its own studies and nothing else."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from builders import make_round
from tuning_store import claims, rounds, tenants
from tuning_store.claims import Claimed
from tuning_store.exceptions import PermissionRefused
from tuning_store.storage import driver_url, open_store
from tuning_store.tenants import Tenant, tenant_of

from .conftest import start_round

A, B = tenant_of("team-a", "cluster"), tenant_of("team-b", "cluster")


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


@pytest.mark.parametrize(
    "statement",
    [
        f'SELECT * FROM "{B.schema}".tuning_rounds',
        f'SELECT * FROM "{B.schema}".trials',
        f'UPDATE "{B.schema}".tuning_rounds SET trials = 1',
        f'DELETE FROM "{B.schema}".studies',
        f"INSERT INTO \"{B.schema}\".studies (study_name) VALUES ('x')",
        f"SELECT nextval('\"{B.schema}\".studies_study_id_seq')",
        f'CREATE TABLE "{B.schema}".mine (x int)',
        f'CREATE TABLE "{A.schema}".mine (x int)',
        f'DROP TABLE "{A.schema}".trials',
        f'ALTER TABLE "{A.schema}".trials ADD COLUMN x int',
        f'SET ROLE "{B.schema}"',
        "CREATE ROLE mine",
        "SELECT pg_read_file('/etc/hostname')",
    ],
)
def test_a_tenant_may_not(as_a: Engine, statement: str) -> None:
    with as_a.begin() as connection, pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        connection.exec_driver_sql(statement)


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
    assert not tenants.login_works("postgresql://u:p@127.0.0.1:1/d")


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
        tenants.create(logins[A.schema], Tenant("tuning_other_00000000"))


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
