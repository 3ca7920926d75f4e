"""Takes from PUBLIC what would let one tenant see or hinder another."""

from sqlalchemy import Connection, text

# Functions that every role may call unless told otherwise, and that reach beyond its own schema: locks and large
# objects that are all roles' alike, and what others do, lock and store.
_COMMON_FUNCTIONS = r"""
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')
      AND (proname ~ '^(pg_.*advisory|pg_stat_get_|lo_|pg_.*_size$)'
           OR proname IN ('pg_lock_status', 'pg_blocking_pids', 'loread', 'lowrite'))
      AND proname NOT IN ('pg_column_size')
"""


def close_common_ground(connection: Connection) -> None:
    """Take from PUBLIC what lets one tenant see or hinder another, as far as this administrator may.

    An owner of the database can do the first, only a superuser the second; PostgreSQL merely warns of the rest.
    """
    database = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
    connection.exec_driver_sql(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
    connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    if is_superuser(connection):
        for function in connection.execute(text(_COMMON_FUNCTIONS)).scalars().all():
            connection.exec_driver_sql(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
            connection.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION {function} TO pg_monitor")


def is_superuser(connection: Connection) -> bool:
    answer: bool = connection.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")).scalar_one()
    return answer
