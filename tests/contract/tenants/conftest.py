"""Two tenants of one server, with and without rounds."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text

from builders import make_round
from contract.conftest import start_round
from tuning_store import tenants
from tuning_store.store import open_store
from tuning_store.tenants import note_living
from tuning_store.urls import driver_url

from .two_tenants import LIVING, OWNER, A, B


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
