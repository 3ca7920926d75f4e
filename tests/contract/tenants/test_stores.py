"""The stores of a cluster's namespaces side by side, as the dashboard reads them."""

from collections.abc import Iterator

import pytest

from builders import make_round
from contract.conftest import start_round
from tuning_store.exceptions import StoreUnavailable, UnknownRound
from tuning_store.store import open_store
from tuning_store.tenants import TenantStores

from .two_tenants import OWNER, A

IN_A, IN_B = (make_round(namespace=namespace).study for namespace in ("team-a", "team-b"))


@pytest.fixture
def stores(postgres_url: str, logins: dict[str, str]) -> Iterator[TenantStores]:
    found = TenantStores(postgres_url, OWNER)
    yield found
    found.close()


def test_every_namespace_is_seen(stores: TenantStores) -> None:
    assert set(stores.progress()) == {IN_A, IN_B}
    for study in (IN_A, IN_B):
        with stores.holding(study) as store:
            assert store.load_study(study).study_name == study


def test_only_the_namespaces_that_are_named(postgres_url: str, logins: dict[str, str]) -> None:
    stores = TenantStores(postgres_url, OWNER, ["team-b"])
    assert set(stores.progress()) == {IN_B}
    with pytest.raises(UnknownRound, match="there is no study team-a/"), stores.holding(IN_A):
        pass
    stores.close()


def test_another_cluster_on_the_same_server_is_not_shown(postgres_url: str, logins: dict[str, str]) -> None:
    stores = TenantStores(postgres_url, "another-cluster")
    assert not stores.progress()
    stores.close()


def test_a_namespace_cannot_show_itself_under_the_name_of_another(stores: TenantStores, postgres_url: str) -> None:
    of_a = open_store(postgres_url, schema=A.schema)
    forged = make_round(name="forged", namespace="team-b")
    start_round(of_a, forged)
    of_a.close()
    assert forged.study not in stores.progress()


def test_nothing_can_be_written(stores: TenantStores) -> None:
    with stores.holding(IN_A) as store, pytest.raises(StoreUnavailable, match="read-only transaction"):
        store.rounds.set_paused(IN_A, True)


def test_few_stores_stay_open(stores: TenantStores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning_store.tenants.stores._MOST_IDLE", 1)
    with stores.holding(IN_A) as of_a, stores.holding(IN_A) as another, stores.holding(IN_B) as of_b:
        assert len({id(of_a), id(another), id(of_b)}) == 3
    with stores.holding(IN_A) as last_put_back:
        assert last_put_back is of_a
