"""Ends sessions of tenants: those that halt the administrator, and all of a tenant that goes."""

from sqlalchemy import Connection, Engine, text

from tuning_store.exceptions import translated
from tuning_store.tenants.registry import registered


def end_blocking_sessions(engine: Engine, seconds: float) -> list[str]:
    """End the tenants' sessions that kept one of the administrator's waiting for `seconds`; returns whose they were.

    A role may lock its own tables for as long as it likes, and so halt a statement that reads all tenants' at once.
    """
    with translated(), engine.begin() as connection:
        if not registered(connection):
            return []
        ended = connection.execute(
            text("""
                WITH RECURSIVE chain(pid) AS (
                    SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity
                    WHERE usename = current_user AND wait_event_type = 'Lock'
                      AND query_start < clock_timestamp() - make_interval(secs => :seconds)
                  UNION
                    SELECT unnest(pg_blocking_pids(pid)) FROM chain
                )
                SELECT namespace, pg_terminate_backend(pid) FROM chain
                JOIN pg_stat_activity USING (pid) JOIN tuning_admin.tenants ON schema = usename
                WHERE cardinality(pg_blocking_pids(pid)) = 0
            """),
            {"seconds": seconds},
        )
        return sorted({row.namespace for row in ended})


def end_sessions(connection: Connection, role: str) -> None:
    """The role's own, in this database: the server may have others, which are none of ours."""
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :role AND datname = current_database()"
    )
    connection.execute(text(ended), {"role": role})
