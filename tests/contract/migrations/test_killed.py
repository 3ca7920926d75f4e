"""A migration that is killed at any statement is made whole by the next."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, get_args

import optuna
import pytest
from optuna.storages import RDBStorage
from sqlalchemy import Engine, event

from tuning_store import schema
from tuning_store.sql import tables
from tuning_store.urls import driver_url, engine_arguments

from .databases import OLD, OLDS, described, engine_on, optunas, run_script, upgrade

Moment = Literal["before", "after"]
MOMENTS = get_args(Moment)


class Killed(BaseException):
    """The end of a process, at one statement."""


@contextmanager
def killed(moment: Moment, at: int) -> Iterator[list[str]]:
    """The program ends before the statement `at` of its changes, or after it but before it is committed."""
    seen: list[str] = []

    def end(*call: Any) -> None:
        statement = call[2].lstrip()
        if not statement.startswith(("CREATE", "ALTER", "DO", "INSERT", "UPDATE", "LOCK")):
            return
        seen.append(statement)
        if len(seen) == at:
            raise Killed

    event.listen(Engine, f"{moment}_cursor_execute", end)
    try:
        yield seen
    finally:
        event.remove(Engine, f"{moment}_cursor_execute", end)


def make_whole_after_each_kill(
    moment: Moment, make: Callable[[], None], fresh: Callable[[], None], describe: Callable[[], Any]
) -> int:
    """Returns how many statements there are."""
    fresh()
    with killed("before", 0) as statements:
        make()
    expected = describe()
    for at in range(1, len(statements) + 1):
        fresh()
        with killed(moment, at), pytest.raises(Killed):
            make()
        make()
        assert describe() == expected, f"killed {moment} {statements[at - 1]}"
    return len(statements)


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_upgrade_that_is_killed_at_any_statement_is_made_whole_by_the_next(
    postgres_url: str, moment: Moment
) -> None:
    def fresh() -> None:
        run_script(
            postgres_url, f'DROP SCHEMA IF EXISTS "{OLDS.schema}" CASCADE; DROP SCHEMA IF EXISTS tuning_admin CASCADE'
        )
        run_script(postgres_url, OLD)

    def describe() -> Any:
        with engine_on(postgres_url) as engine, engine.connect() as connection:
            counted = connection.exec_driver_sql(f"SELECT * FROM {OLDS.schema}.tuning_shares ORDER BY worker").all()
            noted = connection.exec_driver_sql(f"SELECT number FROM {OLDS.schema}.tuning_migrations ORDER BY 1").all()
            admin = connection.exec_driver_sql("SELECT schema, namespace, version FROM tuning_admin.tenants").all()
            return (described(engine, OLDS.schema), described(engine, "tuning_admin"), counted, noted, admin)

    assert make_whole_after_each_kill(moment, partial(upgrade, postgres_url), fresh, describe) > 25


@pytest.mark.parametrize("moment", MOMENTS)
def test_making_a_store_that_is_killed_at_any_statement_is_made_whole_by_the_next(sql_url: str, moment: Moment) -> None:
    """From Optuna's tables on, with a study in them that nobody has counted yet."""
    with engine_on(sql_url) as engine:

        def fresh() -> None:
            made = [*tables.metadata.sorted_tables, tables.migrations]
            for table in [*made, *([tables.counts_by_worker] if engine.dialect.name == "postgresql" else [])]:
                table.drop(engine, checkfirst=True)
            if engine.dialect.name == "postgresql":
                with engine.begin() as connection:
                    connection.exec_driver_sql("DROP FUNCTION IF EXISTS tuning_tally CASCADE")
                    connection.exec_driver_sql("DROP INDEX IF EXISTS tuning_trials_number, tuning_trials_open")

        optunas(sql_url)
        study = optuna.create_study(storage=RDBStorage(driver_url(sql_url), engine_kwargs=engine_arguments(sql_url)))
        study.add_trial(optuna.trial.create_trial(value=1.0))

        def describe() -> Any:
            counted: Any = None
            if engine.dialect.name == "postgresql":
                with engine.connect() as connection:
                    counted = connection.exec_driver_sql("SELECT worker, complete FROM tuning_shares").all()
            return (described(engine), tables.migrations_applied(engine), counted)

        assert make_whole_after_each_kill(moment, partial(schema.create, sql_url), fresh, describe) >= 8
