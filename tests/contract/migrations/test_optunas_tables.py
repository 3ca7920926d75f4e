"""Optuna's own tables of another revision are refused, and left as they are."""

import pytest

from tuning_store import schema, tenants
from tuning_store.exceptions import SchemaMismatch
from tuning_store.optuna_internals import TABLES_REVISION
from tuning_store.retry import FOREVER, RetryPolicy
from tuning_store.sql import tables
from tuning_store.store import open_store

from .databases import OLDS, described, engine_on, optunas, upgrade

MADE_UP = {"newer": "v9.9.9.z", "older": "v3.0.0.d"}


@pytest.fixture(params=list(MADE_UP.values()), ids=list(MADE_UP))
def other_revision(request: pytest.FixtureRequest) -> str:
    revision: str = request.param
    return revision


def set_revision(url: str, revision: str, schema_name: str | None = None) -> None:
    with engine_on(url, schema_name) as engine, engine.begin() as connection:
        connection.execute(tables.optunas_version.update().values(version_num=revision))


def test_the_revision_is_the_one_that_optuna_makes(sql_url: str) -> None:
    optunas(sql_url)
    with engine_on(sql_url) as engine:
        assert tables.optunas_revision(engine) == TABLES_REVISION


def test_nobody_changes_tables_of_optuna_that_are_of_another_revision(sql_url: str, other_revision: str) -> None:
    optunas(sql_url)
    set_revision(sql_url, other_revision)
    with engine_on(sql_url) as engine:
        before = described(engine)
        with pytest.raises(SchemaMismatch) as refused:
            schema.create(sql_url)
        assert described(engine) == before
        assert tables.optunas_revision(engine) == other_revision
    assert other_revision in str(refused.value)
    assert TABLES_REVISION in str(refused.value)
    assert "suspend the studies, make a backup, and run" in str(refused.value)
    assert "`optuna storage upgrade --storage URL`" in str(refused.value)
    assert "update this program" in str(refused.value)


def test_a_worker_does_not_touch_them_either(sql_url: str, other_revision: str) -> None:
    schema.create(sql_url)
    set_revision(sql_url, other_revision)
    with pytest.raises(SchemaMismatch, match=other_revision):
        open_store(sql_url, worker="w-0", retry=RetryPolicy(FOREVER, outdated_seconds=60.0))


def test_a_tenants_tables_of_another_revision_are_refused(old_url: str, other_revision: str) -> None:
    set_revision(old_url, other_revision, OLDS.schema)
    with pytest.raises(SchemaMismatch, match=other_revision):
        upgrade(old_url)
    with engine_on(old_url) as engine:
        assert tenants.made(engine) == set()
