"""The migrations as a list: they make the tables that the code knows, and what was released stays."""

from hashlib import sha256

from tuning_store import schema
from tuning_store.postgres.functions import definitions
from tuning_store.schema.creation import MIGRATIONS
from tuning_store.sql import tables
from tuning_store.tables_version import REQUIRED
from tuning_store.values import DURATION_BOUNDS

from .databases import described, engine_on


def test_programs_need_the_newest_migration() -> None:
    assert MIGRATIONS[-1].number == REQUIRED


def test_a_new_store_has_had_every_migration(sql_url: str) -> None:
    schema.create(sql_url)
    with engine_on(sql_url) as engine:
        assert tables.migrations_applied(engine) == REQUIRED
        with engine.connect() as connection:
            noted = connection.execute(tables.migrations.select().order_by(tables.migrations.c.number)).all()
    assert [(row.number, row.name) for row in noted] == [(one.number, one.name) for one in MIGRATIONS]


def test_migrations_make_the_tables_that_the_code_knows(sql_url: str) -> None:
    schema.create(sql_url)
    with engine_on(sql_url) as engine:
        migrated = described(engine)
        tables.metadata.drop_all(engine)
        tables.metadata.create_all(engine)
        ours = {table.name for table in tables.metadata.sorted_tables}
        assert {name: migrated[name] for name in ours} == {name: described(engine)[name] for name in ours}


def test_durations_are_counted_by_the_bounds_that_readers_know(postgres_url: str) -> None:
    schema.create(postgres_url)
    with engine_on(postgres_url) as engine, engine.connect() as connection:
        text = connection.exec_driver_sql("SELECT prosrc FROM pg_proc WHERE proname = 'tuning_tally'").scalar_one()
    assert "{" + ",".join(map(str, DURATION_BOUNDS)) + "}" in text


# The text of each function that was released: workers of that release call it as it is. To change what a function does,
# write a new one (tuning_claim_v2), and a migration that installs it.
RELEASED = {
    "tuning_write_children_v1": "9658d78f495e65f9",
    "tuning_write_v1": "79f67aa2f6b9fdd3",
    "tuning_create_v1": "b86107c919566c15",
    "tuning_progress_v1": "e6503e810337098a",
    "tuning_heartbeat_v1": "5b4a2348f5f49e0c",
    "tuning_claim_v1": "06cf40668a64209f",
    "tuning_finish_v1": "b24c3e22046763f8",
    "tuning_run_waiting_v1": "77940e9380241625",
    "tuning_requeue_v1": "ef11594a8ee1f797",
    "tuning_read_v1": "c893cdb2e67ec89f",
}


def test_a_function_that_was_released_never_changes() -> None:
    found = {name: sha256(text.encode()).hexdigest()[:16] for name, text in definitions().items()}
    assert found == RELEASED


def test_functions_carry_versions() -> None:
    assert [name for name in definitions() if not name.rpartition("_v")[2].isdigit()] == []
