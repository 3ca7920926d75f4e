"""A program that is newer than the tables says so; a worker waits for them."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
from structlog.testing import capture_logs

from builders import make_round
from contract.conftest import start_round
from tuning_store import schema, tenants
from tuning_store.exceptions import SchemaMismatch, SchemaOutdated
from tuning_store.retry import FOREVER, RetryPolicy
from tuning_store.store import Store, open_store
from tuning_store.tables_version import REQUIRED
from tuning_store.values import ClaimedTrial

from .databases import OLDS, engine_on, run_script, upgrade


def await_words(logs: Sequence[object], opening: Future[Store]) -> None:
    while not logs:
        assert not wait([opening], 0.01).done, opening.result()


def test_a_worker_that_is_newer_than_the_tables_says_so_and_waits(old_url: str) -> None:
    retry = RetryPolicy(FOREVER, outdated_seconds=60.0)
    with ThreadPoolExecutor(1) as beside, capture_logs() as logs:
        opening = beside.submit(open_store, old_url, schema=OLDS.schema, worker="new", retry=retry)
        await_words(logs, opening)
        assert not opening.done()
        upgrade(old_url)
        store = opening.result(30)
    assert logs[0]["event"] == "waiting for the store's tables"
    assert f"of version 0, and this program needs {REQUIRED}" in logs[0]["why"]
    assert isinstance(store.claims.claim(1), ClaimedTrial)
    store.close()


def test_it_waits_no_longer_than_it_may(old_url: str) -> None:
    with pytest.raises(SchemaOutdated, match="an operator of this program's version brings them up to date"):
        open_store(old_url, schema=OLDS.schema, worker="new", retry=RetryPolicy(FOREVER, outdated_seconds=0.3))


def test_it_waits_no_longer_than_it_lives(old_url: str) -> None:
    stopping = threading.Event()
    stopping.set()
    retry = RetryPolicy(FOREVER, until=stopping, outdated_seconds=3600.0)
    with pytest.raises(SchemaOutdated):
        open_store(old_url, schema=OLDS.schema, worker="new", retry=retry)


def test_a_worker_waits_for_tables_that_nobody_has_made_yet(sql_url: str) -> None:
    with ThreadPoolExecutor(1) as beside, capture_logs() as logs:
        retry = RetryPolicy(FOREVER, outdated_seconds=60.0)
        opening = beside.submit(open_store, sql_url, worker="early", retry=retry)
        await_words(logs, opening)
        schema.create(sql_url)
        opening.result(30).close()
    assert "no tables yet" in logs[0]["why"]


def test_a_reader_of_older_tables_is_told_at_once(old_url: str) -> None:
    with pytest.raises(SchemaOutdated, match="`tuning run`"):
        open_store(old_url, schema=OLDS.schema)


def test_a_reader_of_no_tables_is_told_who_makes_them(sql_url: str) -> None:
    with pytest.raises(SchemaOutdated, match="no tables yet: an operator makes them, and so does `tuning run`"):
        open_store(sql_url)


def test_a_function_that_a_newer_version_removed_is_told_as_that(postgres_url: str) -> None:
    schema.create(postgres_url)
    store = open_store(postgres_url, worker="w-0")
    study = start_round(store, make_round())
    run_script(postgres_url, "DROP FUNCTION tuning_claim_v1")
    with pytest.raises(SchemaMismatch, match=r"tuning_claim_v1.*not of this program's version"):
        store.claims.claim(study)
    store.close()


def test_those_who_read_all_tenants_leave_out_what_is_not_upgraded_yet(old_url: str) -> None:
    new = tenants.tenant_of("other", "cluster")
    tenants.create(old_url, new)
    with engine_on(old_url) as engine:
        assert tenants.schemas(engine) == [new.schema]
        assert tenants.made(engine) == {new.schema}
        assert tenants.upgrade(old_url, "another cluster") == []
        assert tenants.upgrade(old_url, "cluster") == ["team"]
        assert tenants.upgrade(old_url, "cluster") == []
        assert set(tenants.schemas(engine)) == {new.schema, OLDS.schema}


def test_a_tenant_that_cannot_be_upgraded_keeps_no_other_from_it(old_url: str) -> None:
    run_script(
        old_url,
        "ALTER TABLE tuning_admin.tenants ADD COLUMN uid text; "
        "INSERT INTO tuning_admin.tenants VALUES ('tuning_a', 'a', 'cluster', NULL)",  # whose schema is not there
    )
    with capture_logs() as logs:
        assert tenants.upgrade(old_url, "cluster") == ["team"]
    assert [(entry["namespace"], entry["log_level"]) for entry in logs if "namespace" in entry] == [("a", "warning")]
