"""A tenant's role: made with a new password each time, and limited to its own schema's rows."""

import secrets
from collections.abc import Iterator

from psycopg2.extensions import encrypt_password
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from tuning_store.exceptions import AuthenticationRefused, StoreError, translated
from tuning_store.sql import tables
from tuning_store.tenants.privileges import is_superuser
from tuning_store.tenants.registry import Tenant, administering
from tuning_store.urls import driver_url, engine_arguments

CONNECTIONS = 80
"""Of one role, unless told otherwise: three greedy namespaces leave room on a server of 300."""

# What a role sets for itself it can set back; these are for accidents. A frozen worker must not hold its round's lock.
_ROLE_SETTINGS = {"statement_timeout": "2min", "idle_in_transaction_session_timeout": "60s"}


def create_role(admin_url: str, tenant: Tenant, connections: int = CONNECTIONS) -> str:
    """The tenant's role, with a new password; returns the URL to log in with. Raises PermissionRefused.

    The role may read and write rows of its own schema, and nothing else. Sessions that are open stay open.
    """
    name, password = tenant.schema, secrets.token_hex(24)
    with administering(admin_url) as connection:
        if not has_role(connection, name):
            connection.exec_driver_sql(f'CREATE ROLE "{name}"')
            if not is_superuser(connection):  # who must be a member, to end the role's sessions
                connection.exec_driver_sql(f'GRANT "{name}" TO CURRENT_USER')
        # Its hash alone: a server's log may quote the statement.
        verifier = encrypt_password(password, name, connection.connection.dbapi_connection)
        for statement in (
            f"ALTER ROLE \"{name}\" LOGIN CONNECTION LIMIT {connections} PASSWORD '{verifier}'",
            f'ALTER ROLE "{name}" SET search_path = "{name}"',
            *(f"ALTER ROLE \"{name}\" SET {key} = '{value}'" for key, value in _ROLE_SETTINGS.items()),
            f'GRANT USAGE ON SCHEMA "{name}" TO "{name}"',
            *_grants(name),
        ):
            connection.exec_driver_sql(statement)
        protect_migrations(connection, name)
        if is_superuser(connection):  # and only one can take it back
            connection.exec_driver_sql(f"ALTER ROLE \"{name}\" SET temp_file_limit = '1GB'")
    return (
        make_url(admin_url)
        .set(drivername="postgresql", username=name, password=password)
        .render_as_string(hide_password=False)
    )


def _grants(name: str) -> Iterator[str]:
    """On the tables that are there, and on those that a newer version adds."""
    rights = {"TABLES": "SELECT, INSERT, UPDATE, DELETE", "SEQUENCES": "USAGE, SELECT, UPDATE"}
    for kind, right in rights.items():
        yield f'GRANT {right} ON ALL {kind} IN SCHEMA "{name}" TO "{name}"'
        yield f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{name}" GRANT {right} ON {kind} TO "{name}"'


def protect_migrations(connection: Connection, name: str) -> None:
    """A tenant may read which migrations its tables have had, and not write it: the operator would believe it."""
    table = f"{name}.{tables.migrations.name}"
    there = connection.execute(text("SELECT to_regclass(:table)"), {"table": table}).scalar_one() is not None
    if there and has_role(connection, name):
        connection.exec_driver_sql(f'REVOKE INSERT, UPDATE, DELETE ON {table} FROM "{name}"')


def shared_url(admin_url: str, tenant: Tenant) -> str:
    """The administrator's own login, looking at the tenant's schema: where it may not create roles."""
    return (
        make_url(admin_url)
        .set(drivername="postgresql")
        .update_query_dict({"options": f"-csearch_path={tenant.schema}"})
        .render_as_string(hide_password=False)
    )


def login_works(url: str) -> bool:
    """False where the server refuses the login; one that is away, or full, says nothing of a password."""
    engine = create_engine(driver_url(url), **engine_arguments(url))
    try:
        with translated(), engine.connect():
            return True
    except AuthenticationRefused:
        return False
    except StoreError:
        return True
    finally:
        engine.dispose()


def has_role(connection: Connection, name: str) -> bool:
    return connection.execute(text("SELECT FROM pg_roles WHERE rolname = :name"), {"name": name}).first() is not None
