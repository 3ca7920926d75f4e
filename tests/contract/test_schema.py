"""The tables are made once, however many ask for them at the same time."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from sqlalchemy import create_engine, inspect

from tuning_store import schema
from tuning_store.urls import driver_url

OURS = {"tuning_rounds", "tuning_workers", "tuning_claims"}


def create(url: str) -> str:
    schema.create(url)
    return "made"


def tables(url: str) -> set[str]:
    engine = create_engine(driver_url(url))
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_eight_processes_at_once_make_one_schema(sql_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tuning_store.schema"])
    with ProcessPoolExecutor(8, mp_context=context) as pool:
        assert list(pool.map(create, [sql_url] * 8)) == ["made"] * 8
    assert tables(sql_url) >= OURS | {"studies", "trials", "alembic_version"}


def test_making_it_again_changes_nothing(sql_url: str) -> None:
    schema.create(sql_url)
    before = tables(sql_url)
    schema.create(sql_url)
    assert tables(sql_url) == before
