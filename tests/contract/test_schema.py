"""The tables are made once, however many ask for them at the same time."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import pytest
from sqlalchemy import create_engine, inspect

from tuning_store import schema
from tuning_store.sql.tables import studies, trials
from tuning_store.store import open_storage
from tuning_store.urls import driver_url

OURS = {"tuning_rounds", "tuning_workers", "tuning_claims"}


def create(url: str) -> str:
    schema.create(url)
    return "made"


def open_one(url: str) -> str:
    open_storage(url).remove_session()
    return "made"


def tables(url: str) -> set[str]:
    engine = create_engine(driver_url(url))
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


@pytest.mark.parametrize("make", [create, open_one])
def test_eight_processes_at_once_make_one_schema(sql_url: str, make: Callable[[str], str]) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tuning_store.store"])
    with ProcessPoolExecutor(8, mp_context=context) as pool:
        assert list(pool.map(make, [sql_url] * 8)) == ["made"] * 8
    assert tables(sql_url) >= OURS | {"studies", "trials", "alembic_version"}


def test_one_that_was_cut_off_is_made_whole_by_the_next(sql_url: str) -> None:
    """MariaDB and SQLite keep each table as soon as it is made."""
    engine = create_engine(driver_url(sql_url))
    optunas = trials.metadata
    optunas.create_all(engine, tables=[studies, trials])
    engine.dispose()

    schema.create(sql_url)

    assert tables(sql_url) >= OURS | {"alembic_version"} | set(optunas.tables)


def test_making_it_again_changes_nothing(sql_url: str) -> None:
    schema.create(sql_url)
    before = tables(sql_url)
    schema.create(sql_url)
    assert tables(sql_url) == before
