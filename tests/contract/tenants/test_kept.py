"""What of a namespace that is gone is kept, and why."""

from contextlib import closing
from typing import Any

import optuna
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from tuning_store import rounds, tenants
from tuning_store.store import open_storage, open_store
from tuning_store.tenants import note_living, removal, why_kept
from tuning_store.urls import driver_url

from .two_tenants import ALL, OWNER, WITHOUT_A, A, begin_round, gone_a, left_of, registry


def test_what_is_retained_is_kept_and_the_registry_says_so(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    study = begin_round(postgres_url, A, retain=True)
    gone = gone_a(postgres_url)
    assert tenants.drop(postgres_url, gone) == "1 round is retained"
    assert registry(admin)["team-a"] == ("uid-a", True, "1 round is retained")
    assert tenants.login_works(places[A.schema])
    assert note_living(postgres_url, OWNER, WITHOUT_A)[0].kept == "1 round is retained"

    with closing(open_store(postgres_url, schema=A.schema)) as store:
        rounds.drop(store, study)
    assert tenants.drop(postgres_url, gone) is None
    assert left_of(admin, A) == set()


def test_a_study_that_plain_optuna_made_is_kept_until_somebody_drops_the_schema(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    storage = open_storage(places[A.schema])
    optuna.create_study(storage=storage, study_name="mine")
    storage.remove_session()
    gone = gone_a(postgres_url)
    assert tenants.drop(postgres_url, gone) == "1 study is of plain Optuna: 'mine'"
    assert left_of(admin, A) == ALL

    with admin.connect() as connection:
        connection.exec_driver_sql(f'DROP SCHEMA "{A.schema}" CASCADE')
    assert tenants.drop(postgres_url, gone) is None
    assert left_of(admin, A) == set()


def test_a_round_that_begins_after_the_first_look_is_kept(
    postgres_url: str, places: dict[str, str], admin: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A namespace is there again, and an operator that knew its place has begun a round in it."""
    shut_out = removal._shut_out

    def and_a_round_begins(*arguments: Any) -> str | None:
        found = shut_out(*arguments)
        begin_round(postgres_url, A)
        return found

    monkeypatch.setattr(removal, "_shut_out", and_a_round_begins)
    assert tenants.drop(postgres_url, gone_a(postgres_url)) == "1 round is not dropped yet"
    assert left_of(admin, A) == ALL


@pytest.mark.parametrize(
    ("rounds_there", "studies", "readers", "want"),
    [
        ({}, [], [], None),
        ({"team/s/u/r1": True, "team/s/u/r2": True}, ["team/s/u/r1"], [], "2 rounds are retained"),
        ({"team/s/u/r1": False}, ["team/s/u/r1"], [], "1 round is not dropped yet"),
        # A start, or a removal, that was cut off half way: Optuna's study without its round.
        ({}, ["team/s/u/r1"], [], None),
        ({}, ["yours", "mine"], [], "2 studies are of plain Optuna: 'mine'"),
        # What a login wrote under another's name keeps nothing, unless it asks for it by its own right.
        ({"other/s/u/r1": False}, ["other/s/u/r1"], [], None),
        ({"other/s/u/r1": True}, ["other/s/u/r1"], [], "1 round is retained"),
        ({}, [], ["reports.all"], "read from elsewhere: reports.all"),
        ({"team/s/u/r1": True, "team/s/u/r2": False}, [], [], "1 round is retained; 1 round is not dropped yet"),
    ],
)
def test_why_a_schema_is_kept(
    rounds_there: dict[str, bool], studies: list[str], readers: list[str], want: str | None
) -> None:
    assert why_kept("team", rounds_there, studies, readers) == want


def test_a_role_that_another_database_needs_is_kept_until_it_does_not(
    postgres_url: str, postgres_server: str, places: dict[str, str], admin: Engine
) -> None:
    server = create_engine(driver_url(postgres_server), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f'CREATE TABLE public.needs AS SELECT 1; GRANT SELECT ON needs TO "{A.schema}"')
        try:
            kept = tenants.drop(postgres_url, gone_a(postgres_url))
            assert kept is not None
            assert kept.startswith("its role is needed elsewhere: 1 object in database")
            assert left_of(admin, A) == {"role", "row"}
            assert registry(admin)["team-a"] == ("uid-a", True, kept)
        finally:
            connection.exec_driver_sql("DROP TABLE public.needs")
    server.dispose()
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
    assert left_of(admin, A) == set()


@pytest.mark.parametrize(
    "reader",
    [
        'CREATE VIEW reports.reader AS SELECT * FROM "{schema}".trials',
        'CREATE MATERIALIZED VIEW reports.reader AS SELECT * FROM "{schema}".trials',
        'CREATE TABLE reports.reader (study int REFERENCES "{schema}".studies)',
    ],
)
def test_what_is_read_from_elsewhere_is_kept_with_its_reader(
    postgres_url: str, places: dict[str, str], admin: Engine, reader: str
) -> None:
    """CASCADE would drop a platform engineer's view of all namespaces with the first that goes."""
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE SCHEMA reports")
        connection.exec_driver_sql(reader.replace("{schema}", A.schema))
    assert tenants.drop(postgres_url, gone_a(postgres_url)) == "read from elsewhere: reports.reader"
    assert left_of(admin, A) == ALL


def test_an_administrator_who_may_not_drop_it_says_so(
    postgres_url: str, places: dict[str, str], drop_roles: list[str], admin: Engine
) -> None:
    drop_roles.append("another")
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE another LOGIN CREATEROLE PASSWORD 'x'")
        connection.exec_driver_sql("GRANT USAGE, CREATE ON SCHEMA tuning_admin TO another")
        connection.exec_driver_sql("GRANT ALL ON ALL TABLES IN SCHEMA tuning_admin TO another")
    another = make_url(postgres_url).set(username="another", password="x").render_as_string(hide_password=False)
    kept = tenants.drop(another, gone_a(postgres_url))
    assert kept is not None
    assert kept.startswith("it cannot be dropped: permission denied")
    assert registry(admin)["team-a"] == ("uid-a", True, kept)
    assert left_of(admin, A) == ALL
