"""A namespace that is gone leaves nothing behind; one that is there again loses nothing."""

from sqlalchemy import Engine

from tuning_store import tenants
from tuning_store.tenants import note_living, tenant_of

from .two_tenants import ALL, LIVING, OWNER, WITHOUT_A, A, B, gone_a, left_of, registry


def test_a_namespace_that_is_gone_leaves_neither_schema_nor_role(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
    assert left_of(admin, A) == set()
    assert left_of(admin, B) == ALL
    assert not tenants.login_works(places[A.schema])
    assert tenants.login_works(places[B.schema])
    assert tenants.schemas(admin) == [B.schema]


def test_the_first_look_only_notes_that_a_namespace_is_gone(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    (gone,) = note_living(postgres_url, OWNER, WITHOUT_A)
    assert gone.since is None
    assert registry(admin) == {"team-a": ("uid-a", True, None), "team-b": ("uid-b", False, None)}
    assert tenants.drop(postgres_url, gone) is not None
    assert left_of(admin, A) == ALL


def test_since_when_a_namespace_is_gone_outlives_the_operator(postgres_url: str, places: dict[str, str]) -> None:
    first = gone_a(postgres_url)
    assert first.since is not None
    assert note_living(postgres_url, OWNER, WITHOUT_A) == [first]


def test_a_shared_login_leaves_no_schema_either(postgres_url: str, drop_roles: list[str], admin: Engine) -> None:
    tenants.create(postgres_url, A)
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
    assert left_of(admin, A) == set()
    assert tenants.login_works(tenants.shared_url(postgres_url, A))


def test_a_namespace_that_lives_again_is_not_gone(postgres_url: str, places: dict[str, str], admin: Engine) -> None:
    gone = gone_a(postgres_url)
    assert note_living(postgres_url, OWNER, {**LIVING, "team-a": "uid-of-the-second"}) == []
    assert registry(admin)["team-a"] == ("uid-of-the-second", False, None)
    assert tenants.drop(postgres_url, gone) == "a namespace of this name is there again"
    assert left_of(admin, A) == ALL
    assert tenants.login_works(places[A.schema])


def test_a_place_that_is_taken_again_is_not_dropped_by_who_has_not_heard_of_it(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    """Another operator, or this one before its next look."""
    gone = gone_a(postgres_url)
    assert A.schema not in tenants.made(admin), "who comes back asks for its place"
    tenants.create(postgres_url, A)
    assert tenants.drop(postgres_url, gone) is not None
    assert registry(admin)["team-a"] == ("uid-a", False, None)
    assert left_of(admin, A) == ALL


def test_a_namespace_that_went_again_is_gone_since_then(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    before = gone_a(postgres_url)
    note_living(postgres_url, OWNER, LIVING)
    again = gone_a(postgres_url)
    assert tenants.drop(postgres_url, before) is not None, "that was another time"
    assert tenants.drop(postgres_url, again) is None
    assert left_of(admin, A) == set()


def test_namespaces_of_another_cluster_are_none_of_ours(
    postgres_url: str, places: dict[str, str], drop_roles: list[str], admin: Engine
) -> None:
    theirs = tenant_of("team-a", "another cluster")
    drop_roles.append(theirs.schema)
    tenants.create(postgres_url, theirs)
    tenants.create_role(postgres_url, theirs)
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None
    assert left_of(admin, A) == set()
    assert left_of(admin, theirs) == ALL


def test_a_registry_of_an_older_operator_learns_the_uid_while_the_namespace_lives(
    postgres_url: str, places: dict[str, str], admin: Engine
) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql("DROP TABLE tuning_admin.migrations")
        connection.exec_driver_sql("ALTER TABLE tuning_admin.tenants DROP uid, DROP gone_since, DROP kept")
    assert note_living(postgres_url, OWNER, WITHOUT_A)[0].tenant == A
    assert registry(admin) == {"team-a": (None, True, None), "team-b": ("uid-b", False, None)}
    assert tenants.drop(postgres_url, gone_a(postgres_url)) is None, "it went before anybody learnt its uid"
    assert left_of(admin, A) == set()
