"""A namespace gets its place: a schema, a role with a login, and a row in the registry."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url

from builders import make_round
from contract.conftest import start_round
from tuning_store import tenants
from tuning_store.exceptions import PermissionRefused
from tuning_store.store import open_store
from tuning_store.tenants import tenant_of
from tuning_store.urls import driver_url
from tuning_store.values import ClaimedTrial

from .two_tenants import A, B


def test_a_worker_does_its_work_with_its_tenants_login(logins: dict[str, str]) -> None:
    name = make_round(namespace="team-a").study
    store = open_store(logins[A.schema], worker="w-0")
    study = store.load_study(name)
    store.as_worker("w-0").claims.record_heartbeat(study._study_id)
    taken = store.as_worker("w-0").claims.claim(study._study_id)
    assert isinstance(taken, ClaimedTrial)
    study.get_trials()
    store.storage.set_trial_user_attr(taken.trial_id, "a", 1)
    from optuna.trial import TrialState

    assert store.storage.set_trial_state_values(taken.trial_id, TrialState.COMPLETE, [1.0])
    assert store.rounds.find(name) == study._study_id
    store.close()


def test_the_administrator_knows_whose_schema_is_whose(postgres_url: str, logins: dict[str, str]) -> None:
    engine = create_engine(driver_url(postgres_url))
    with engine.connect() as connection:
        assert tenants.registered(connection) == [A, B]
    engine.dispose()


def test_two_operators_make_a_tenant_at_once(postgres_url: str, drop_roles: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda tenant: tenants.create(postgres_url, tenant), [A, B] * 4))
        urls = list(pool.map(lambda tenant: tenants.create_role(postgres_url, tenant), [A, B] * 4))
    assert all(map(tenants.login_works, urls))


def test_no_statement_holds_a_password(postgres_url: str, logins: dict[str, str]) -> None:
    """A server may log statements."""
    seen: list[str] = []

    def see(*of: Any) -> None:
        seen.append(of[2])

    event.listen(Engine, "before_cursor_execute", see)
    try:
        url = tenants.create_role(postgres_url, A)
    finally:
        event.remove(Engine, "before_cursor_execute", see)
    assert any("PASSWORD" in statement for statement in seen)
    assert not [statement for statement in seen if str(make_url(url).password) in statement]


def test_making_a_tenant_again_keeps_its_data_and_changes_its_password(
    postgres_url: str, logins: dict[str, str]
) -> None:
    tenants.create(postgres_url, A)
    again = tenants.create_role(postgres_url, A)
    assert again != logins[A.schema]
    assert tenants.login_works(again)
    store = open_store(again)
    assert store.rounds.find(make_round(namespace="team-a").study)
    store.close()


def test_a_login_works_or_not(postgres_url: str, logins: dict[str, str]) -> None:
    """The embedded server trusts every local login, so that a role that is not there stands for a wrong password."""
    assert tenants.login_works(logins[A.schema])
    nobody = make_url(logins[A.schema]).set(username="nobody").render_as_string(hide_password=False)
    nowhere = make_url(logins[A.schema]).set(database="nowhere").render_as_string(hide_password=False)
    assert not tenants.login_works(nobody)
    assert not tenants.login_works(nowhere)
    assert tenants.login_works("postgresql://u:p@127.0.0.1:1/d")  # as far as one can tell


def test_an_administrator_who_may_not_make_roles_is_told(postgres_url: str, drop_roles: list[str]) -> None:
    drop_roles.append("managed")
    engine = create_engine(driver_url(postgres_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE managed LOGIN PASSWORD 'x'")
        database = make_url(postgres_url).database
        connection.exec_driver_sql(f"GRANT CREATE ON DATABASE {database} TO managed")
    engine.dispose()
    managed = make_url(postgres_url).set(username="managed", password="x").render_as_string(hide_password=False)
    tenants.create(managed, A)
    with pytest.raises(PermissionRefused, match="permission denied"):
        tenants.create_role(managed, A)
    shared = tenants.shared_url(managed, A)
    assert tenants.login_works(shared)
    store = open_store(shared)
    start_round(store, make_round(namespace="team-a"))
    store.close()
    directly = open_store(managed, schema=A.schema)
    assert directly.rounds.find(make_round(namespace="team-a").study)
    directly.close()


def test_an_administrator_who_may_not_make_schemas_is_told(postgres_url: str, logins: dict[str, str]) -> None:
    with pytest.raises(PermissionRefused, match="permission denied"):
        tenants.create(logins[A.schema], tenant_of("team-c", "cluster"))


def test_only_schemas_with_our_tables_are_tenants(postgres_url: str, logins: dict[str, str]) -> None:
    engine = create_engine(driver_url(postgres_url))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA tuning_empty")
        connection.exec_driver_sql("CREATE SCHEMA tuningxother")
        connection.exec_driver_sql("CREATE TABLE tuningxother.tuning_rounds (x int)")
    assert sorted(map(str, tenants.schemas(engine))) == sorted([A.schema, B.schema])
    engine.dispose()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("a", "cluster-1"), ("a", "cluster-2")),
        (("a" * 60 + "b", "c"), ("a" * 60 + "c", "c")),
        (("a-b", "c"), ("a_b", "c")),
    ],
)
def test_two_namespaces_never_share_a_schema(left: tuple[str, str], right: tuple[str, str]) -> None:
    assert tenant_of(*left) != tenant_of(*right)
    assert len(tenant_of(*left).schema) <= 63
    assert tenant_of(*left) == tenant_of(*left)


def test_what_was_made_is_not_made_again(postgres_url: str, drop_roles: list[str]) -> None:
    engine = create_engine(driver_url(postgres_url))
    assert tenants.made(engine) == set(), "there is no registry yet"
    for tenant in (A, B):
        tenants.create(postgres_url, tenant)
    assert tenants.made(engine) == {A.schema, B.schema}
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE tuning_admin.tenants SET version = 'old' WHERE schema = '{A.schema}'")
        connection.exec_driver_sql(f'DROP SCHEMA "{B.schema}" CASCADE')
    assert tenants.made(engine) == set()
    tenants.create(postgres_url, A)
    assert tenants.made(engine) == {A.schema}
    engine.dispose()


def test_a_registry_that_an_older_operator_made_goes_on(postgres_url: str, drop_roles: list[str]) -> None:
    engine = create_engine(driver_url(postgres_url))
    tenants.create(postgres_url, A)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE tuning_admin.migrations")
        connection.exec_driver_sql("ALTER TABLE tuning_admin.tenants DROP COLUMN version")
    assert tenants.made(engine) == set()
    with engine.connect() as connection:
        assert tenants.registered(connection) == [A]
    tenants.create(postgres_url, B)
    assert tenants.made(engine) == {B.schema}
    engine.dispose()


def test_a_role_that_may_not_log_in_any_more_is_a_login_that_does_not_work(
    places: dict[str, str], admin: Engine
) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql(f'ALTER ROLE "{A.schema}" NOLOGIN')
    assert not tenants.login_works(places[A.schema])
