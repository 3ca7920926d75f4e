"""What becomes of trials whose study is gone: on a real PostgreSQL, beside a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from kubernetes.aio.config import kube_config
from sqlalchemy import create_engine

from builders import make_round
from integration.harness import ControlPlane, Kube
from integration.services import SYSTEM, Postgres
from integration.studies import quick_study
from tuning_operator.cluster import Cluster
from tuning_operator.history import HistoryKeeper
from tuning_operator.settings import Settings
from tuning_operator.stores import Stores
from tuning_store import progress, rounds, tenants
from tuning_store.storage import open_store
from tuning_store.urls import driver_url
from tuning_study.digest import spec_digest
from tuning_study.round import resolve


@pytest.fixture
async def cluster(control_plane: ControlPlane, system: Kube, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """The API server as the operator's account sees it."""
    config = control_plane.service_account_kubeconfig(SYSTEM, "tuning-operator")
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(config))
    async with Cluster() as opened:
        yield opened


@dataclass
class History:
    """A database of this test alone, and the rounds in it."""

    url: str
    owner: str

    def add(self, namespace: str, uid: str, *, owner: str | None = None, retain: bool = False) -> progress.Place:
        """A round of a study, as it was started at some time by the operator of `owner`."""
        tenant = tenants.tenant_of(namespace, owner or self.owner)
        resolved = resolve(make_round().spec, namespace=namespace, name="digits", uid=uid, number=1, versions={})
        tenants.create(self.url, tenant)
        store = open_store(self.url, schema=tenant.schema)
        keeper = rounds.Ownership(tenant.owner, retain)
        digest = spec_digest(resolved.spec)
        rounds.start(store, resolved, digest=digest, budget=resolved.spec.budget, keeper=keeper, points=[{"x": 0.5}])
        store.close()
        return tenant.schema, resolved.study

    @property
    def rounds(self) -> set[progress.Place]:
        engine = create_engine(driver_url(self.url))
        found = progress.read_all(engine, tenants.schemas(engine))
        engine.dispose()
        return set(found)


@pytest.fixture
async def history(cluster: Cluster, postgres: Postgres) -> AsyncIterator[History]:
    postgres.sql("CREATE DATABASE swept")
    yield History(postgres.admin_url("swept"), await cluster.identity())
    postgres.sql("DROP DATABASE swept WITH (FORCE)")


@pytest.fixture
def uid(kube: Kube) -> str:
    """Of a study that lives in the test's namespace; it runs nothing."""
    made: str = kube.apply(quick_study("alive", suspend=True))["metadata"]["uid"]
    return made


def keeper_of(cluster: Cluster, history: History, *watched: str) -> HistoryKeeper:
    settings = Settings(store_url=history.url, worker_image="none", watch_namespaces=watched)
    return HistoryKeeper(settings, cluster, Stores(settings, cluster, history.owner))


async def test_the_history_of_a_study_is_dropped_when_it_was_twice_not_there(
    cluster: Cluster, history: History, kube: Kube, uid: str
) -> None:
    gone, alive = history.add(kube.namespace, "uid-of-none"), history.add(kube.namespace, uid)
    keeper = keeper_of(cluster, history)

    assert await keeper.sweep() == []
    assert history.rounds == {gone, alive}, "once may be a list that was read too early"

    assert await keeper.sweep() == [gone]
    assert history.rounds == {alive}

    kube.delete("TuningStudy", "alive")
    assert [await keeper.sweep(), await keeper.sweep()] == [[], [alive]]
    assert history.rounds == set()


async def test_history_that_is_not_this_operators_to_drop_is_kept(
    cluster: Cluster, history: History, kube: Kube
) -> None:
    kept = {
        history.add(kube.namespace, "uid-of-a-study-whose-deletionPolicy-was-Retain", retain=True),
        history.add(kube.namespace, "uid-in-another-cluster", owner="another cluster"),
        history.add("not-watched", "uid-of-none"),
    }
    gone = history.add(kube.namespace, "uid-of-none")
    keeper = keeper_of(cluster, history, kube.namespace)

    assert [await keeper.sweep() for _ in range(3)] == [[], [gone], []]
    assert history.rounds == kept


async def test_a_row_that_a_namespace_wrote_under_anothers_name_drops_and_keeps_nothing_of_it(
    cluster: Cluster, history: History, kube: Kube, uid: str
) -> None:
    """A worker's login may write any name into its own tables."""
    alive, gone = history.add(kube.namespace, uid), history.add(kube.namespace, "uid-of-none")
    tenant = tenants.tenant_of("liar", history.owner)
    tenants.create(history.url, tenant)
    engine = create_engine(driver_url(history.url))
    with engine.begin() as connection:
        for schema, study in (alive, gone):
            connection.exec_driver_sql(
                f'INSERT INTO "{tenant.schema}".tuning_rounds SELECT r.*'
                f' FROM "{schema}".tuning_rounds r WHERE study_name = %s',
                (study,),
            )
    engine.dispose()
    keeper = keeper_of(cluster, history)

    await keeper.sweep()
    assert gone in await keeper.sweep()
    assert alive in history.rounds
    assert gone not in history.rounds
