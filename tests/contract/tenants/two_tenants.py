"""The tenants of these tests, and what is left of one whose namespace is gone."""

from contextlib import closing

from sqlalchemy import Engine, text

from builders import make_round
from contract.conftest import start_round
from tuning_store import tenants
from tuning_store.store import open_store
from tuning_store.tenants import Tenant, note_living, tenant_of

A, B = tenant_of("team-a", "cluster"), tenant_of("team-b", "cluster")

OWNER = "cluster"
LIVING = {"team-a": "uid-a", "team-b": "uid-b"}
WITHOUT_A = {"team-b": "uid-b"}


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


def begin_round(url: str, tenant: Tenant, *, retain: bool = False) -> str:
    resolved = make_round(namespace=tenant.namespace)
    with closing(open_store(url, schema=tenant.schema)) as store:
        start_round(store, resolved, retain=retain)
    return resolved.study
