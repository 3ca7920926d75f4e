"""A PostgreSQL schema and role for each namespace, so that no pod sees another namespace's data."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from tuning_store import schema
from tuning_store.exceptions import StoreError, translated
from tuning_store.storage import driver_url, engine_arguments

_LOCK = 0x7475_7465  # "tute": serialises the making of tenants


@dataclass(frozen=True)
class Tenant:
    """A namespace's place in the database; its role has the schema's name."""

    schema: str


def tenant_of(namespace: str, owner: str) -> Tenant:
    """Readable, within PostgreSQL's 63 characters, and distinct for two clusters on one server."""
    digest = hashlib.sha256(f"{owner}/{namespace}".encode()).hexdigest()[:8]
    return Tenant(f"tuning_{namespace[:40]}_{digest}")


def create(admin_url: str, tenant: Tenant) -> None:
    """The tenant's schema and tables. Safe to repeat."""
    _execute(admin_url, f'CREATE SCHEMA IF NOT EXISTS "{tenant.schema}"')
    schema.create(admin_url, tenant.schema)


def create_role(admin_url: str, tenant: Tenant) -> str:
    """The tenant's role, with a new password; returns the URL to log in with. Raises PermissionRefused.

    The role may read and write rows of its own schema, and nothing else.
    """
    name, password = tenant.schema, secrets.token_hex(24)
    _execute(
        admin_url,
        f"""DO $$ BEGIN
              IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN
                CREATE ROLE "{name}" LOGIN;
              END IF;
            END $$""",
        f"ALTER ROLE \"{name}\" LOGIN PASSWORD '{password}'",
        f'ALTER ROLE "{name}" SET search_path = "{name}"',
        f'GRANT USAGE ON SCHEMA "{name}" TO "{name}"',
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{name}" TO "{name}"',
        f'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "{name}" TO "{name}"',
    )
    return (
        make_url(admin_url)
        .set(drivername="postgresql", username=name, password=password)
        .render_as_string(hide_password=False)
    )


def shared_url(admin_url: str, tenant: Tenant) -> str:
    """The administrator's own login, looking at the tenant's schema: where it may not create roles."""
    return (
        make_url(admin_url)
        .set(drivername="postgresql")
        .update_query_dict({"options": f"-csearch_path={tenant.schema}"})
        .render_as_string(hide_password=False)
    )


def login_works(url: str) -> bool:
    try:
        _execute(url, "SELECT 1")
    except StoreError:
        return False
    return True


def _execute(url: str, *statements: str) -> None:
    engine = create_engine(driver_url(url), **engine_arguments(url))
    try:
        with translated(), engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def schemas(engine: Engine) -> list[str | None]:
    """Every tenant's schema that has its tables."""
    with translated(), engine.connect() as connection:
        rows = connection.execute(
            text("SELECT schemaname FROM pg_tables WHERE tablename = 'tuning_rounds' AND schemaname LIKE 'tuning\\_%'")
        )
        return [row.schemaname for row in rows]
