"""What becomes of trials whose study is gone: on a real PostgreSQL, beside a real API server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from kubernetes.aio.config import kube_config
from sqlalchemy import create_engine
from structlog.testing import capture_logs

from builders import make_round
from integration.harness import ControlPlane, Kube
from integration.services import SYSTEM, Postgres
from integration.studies import quick_study, store_url
from tuning_kube.client import Cluster
from tuning_operator.keepers.history import HistoryKeeper
from tuning_operator.provision import Provisioner
from tuning_operator.settings import Settings
from tuning_operator.stores import Stores
from tuning_store import record, rounds, tenants
from tuning_store.exceptions import StoreUnavailable
from tuning_store.postgres.progress import read_all
from tuning_store.record import Line
from tuning_store.store import open_store
from tuning_store.urls import driver_url
from tuning_store.values import Owner, RoundKey
from tuning_study.round import resolve, spec_digest


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

    def add(self, namespace: str, uid: str, *, owner: str | None = None, retain: bool = False) -> RoundKey:
        """A round of a study, as it was started at some time by the operator of `owner`."""
        tenant = tenants.tenant_of(namespace, owner or self.owner)
        resolved = resolve(make_round().spec, namespace=namespace, name="digits", uid=uid, number=1, versions={})
        tenants.create(self.url, tenant)
        store = open_store(self.url, schema=tenant.schema)
        keeper = Owner(tenant.owner, retain)
        digest = spec_digest(resolved.spec)
        rounds.start(store, resolved, digest=digest, budget=resolved.spec.budget, owner=keeper, points=[{"x": 0.5}])
        store.close()
        return tenant.schema, resolved.study

    def place(self, namespace: str, *, owner: str | None = None) -> str:
        """A namespace's schema, its login, and its row in the registry; returns the schema's name."""
        tenant = tenants.tenant_of(namespace, owner or self.owner)
        tenants.create(self.url, tenant)
        tenants.create_role(self.url, tenant)
        return tenant.schema

    def registry(self) -> dict[str, tuple[str | None, bool, str | None]]:
        """Of each namespace its uid, whether it is gone, and why something of it is kept."""
        engine = create_engine(driver_url(self.url))
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "SELECT namespace, uid, gone_since IS NOT NULL, kept FROM tuning_admin.tenants"
            ).all()
        engine.dispose()
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    @property
    def schemas(self) -> set[str | None]:
        engine = create_engine(driver_url(self.url))
        found = set(tenants.schemas(engine))
        engine.dispose()
        return found

    @property
    def rounds(self) -> set[RoundKey]:
        engine = create_engine(driver_url(self.url))
        found = read_all(engine, tenants.schemas(engine))
        engine.dispose()
        return set(found)


@pytest.fixture
async def history(cluster: Cluster, postgres: Postgres) -> AsyncIterator[History]:
    postgres.sql("CREATE DATABASE swept")
    before = roles(postgres)
    yield History(postgres.admin_url("swept"), await cluster.identity())
    postgres.sql("DROP DATABASE swept WITH (FORCE)")
    for role in roles(postgres) - before:
        # An operator that still runs may have made one meanwhile, in another database, and needs it there.
        with suppress(psycopg2.errors.DependentObjectsStillExist):
            postgres.sql(f'DROP ROLE "{role}"')


def roles(postgres: Postgres) -> set[str]:
    """They are the server's, not a database's."""
    return {role for (role,) in postgres.query("SELECT rolname FROM pg_roles")}


@pytest.fixture
def uid(kube: Kube) -> str:
    """Of a study that lives in the test's namespace; it runs nothing."""
    made: str = kube.apply(quick_study("alive", suspend=True))["metadata"]["uid"]
    return made


def keeper_of(cluster: Cluster, history: History, *watched: str) -> HistoryKeeper:
    settings = Settings(store_url=history.url, worker_image="none", watch_namespaces=watched)
    return HistoryKeeper(settings, cluster, provisioner_of(cluster, history, settings), history.owner)


def provisioner_of(cluster: Cluster, history: History, settings: Settings) -> Provisioner:
    return Provisioner(settings, cluster, Stores(history.url, history.owner))


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


async def test_the_record_of_a_study_goes_with_its_rounds(cluster: Cluster, history: History, kube: Kube) -> None:
    history.add(kube.namespace, "uid-of-none")
    history.add(kube.namespace, "uid-of-a-study-whose-deletionPolicy-was-Retain", retain=True)
    engine = create_engine(driver_url(history.url))
    uids = ("uid-of-none", "uid-of-a-study-whose-deletionPolicy-was-Retain", "uid-of-a-study-with-a-store-of-its-own")
    lines = [Line("Promoted", "", datetime.now(UTC), "ada", {"of": uid}, uid, "digits", "team", "1") for uid in uids]
    record.add(engine, history.owner, lines)
    keeper = keeper_of(cluster, history)
    await keeper.sweep()
    await keeper.sweep()
    assert [uid for uid in uids if record.evidence_of(engine, uid, "1") is not None] == list(uids[1:])
    engine.dispose()


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


# --- namespaces that are gone


@pytest.fixture
def team(control_plane: ControlPlane) -> Iterator[Kube]:
    """Cluster admin in a namespace that a test may delete."""
    client = Kube(control_plane.kubeconfig, f"team-{secrets.token_hex(4)}")
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": client.namespace}})
    yield client
    if client.namespace in namespaces(client):
        client.delete("Namespace", client.namespace)
    client.close()


def namespaces(kube: Kube) -> dict[str, str]:
    return {found["metadata"]["name"]: found["metadata"]["uid"] for found in kube.list("Namespace")}


def end(kube: Kube) -> None:
    kube.delete("Namespace", kube.namespace)
    kube.wait_for(lambda: namespaces(kube), lambda found: kube.namespace not in found, 60, "end of the namespace")


async def test_a_namespace_that_was_twice_not_there_leaves_nothing(
    cluster: Cluster, history: History, team: Kube, kube: Kube
) -> None:
    gone, alive = history.place(team.namespace), history.place(kube.namespace)
    keeper = keeper_of(cluster, history)
    assert await keeper.sweep_namespaces() == []
    assert history.registry()[team.namespace] == (namespaces(team)[team.namespace], False, None)

    await asyncio.to_thread(end, team)

    assert await keeper.sweep_namespaces() == []
    assert history.registry()[team.namespace][1]
    with capture_logs() as said:
        assert await keeper_of(cluster, history).sweep_namespaces() == [team.namespace]  # after a restart
    assert said == [
        {
            "event": "a namespace is gone: its schema and role are dropped",
            "namespace": team.namespace,
            "schema": gone,
            "log_level": "info",
        }
    ]
    assert history.schemas == {alive}
    assert list(history.registry()) == [kube.namespace]


async def test_a_namespace_that_went_while_no_operator_ran_is_found(cluster: Cluster, history: History) -> None:
    history.place("long-gone")
    keeper = keeper_of(cluster, history)
    assert [await keeper.sweep_namespaces(), await keeper.sweep_namespaces()] == [[], ["long-gone"]]
    assert history.registry() == {}


async def test_the_history_goes_before_the_place(cluster: Cluster, history: History) -> None:
    place = history.add("long-gone", "uid-of-none")
    keeper = keeper_of(cluster, history)
    said = []
    for _ in range(3):
        said.append((await keeper.sweep(), await keeper.sweep_namespaces()))
    assert said == [([], []), ([place], ["long-gone"]), ([], [])]


async def test_what_is_retained_stays_until_it_is_let_go_and_the_operator_says_so_once(
    cluster: Cluster, history: History
) -> None:
    place = history.add("long-gone", "uid-of-none", retain=True)
    keeper = keeper_of(cluster, history)
    with capture_logs() as said:
        for _ in range(4):
            assert [await keeper.sweep(), await keeper.sweep_namespaces()] == [[], []]
    assert [entry["kept"] for entry in said] == ["1 round is retained"]
    assert history.rounds == {place}
    assert history.registry() == {"long-gone": (None, True, "1 round is retained")}

    engine = create_engine(driver_url(history.url))
    with engine.begin() as connection:
        connection.exec_driver_sql(f'UPDATE "{place[0]}".tuning_rounds SET retain = false')
    engine.dispose()
    for _ in range(2):
        await keeper.sweep()
        await keeper.sweep_namespaces()
    assert (history.rounds, history.registry()) == (set(), {})


async def test_one_look_that_fails_is_not_the_last(
    cluster: Cluster, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.place("long-gone")
    keeper, dropped = keeper_of(cluster, history), asyncio.Event()
    sweep, failures = keeper.sweep_namespaces, iter([RuntimeError("unforeseen"), StoreUnavailable("away")])

    async def sweep_namespaces() -> list[str]:
        for failure in failures:
            raise failure
        if found := await sweep():
            dropped.set()
        return found

    monkeypatch.setattr(keeper, "sweep_namespaces", sweep_namespaces)
    monkeypatch.setattr("tuning_operator.keepers.history._PAUSE", timedelta(0))
    running = asyncio.create_task(keeper.run())
    async with asyncio.timeout(30):
        await dropped.wait()
    running.cancel()
    assert history.registry() == {}


async def test_a_namespace_made_anew_between_two_looks_keeps_its_place_and_what_was_retained(
    cluster: Cluster, history: History, team: Kube
) -> None:
    retained = history.add(team.namespace, "uid-of-none", retain=True)
    keeper = keeper_of(cluster, history)
    await keeper.sweep_namespaces()
    before = namespaces(team)[team.namespace]

    await asyncio.to_thread(end, team)
    await keeper.sweep_namespaces()
    team.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team.namespace}})
    uid = team.apply(quick_study("alive", suspend=True))["metadata"]["uid"]
    new = history.add(team.namespace, uid)

    for _ in range(3):
        assert [await keeper.sweep(), await keeper.sweep_namespaces()] == [[], []]
    assert history.rounds == {retained, new}
    now = namespaces(team)[team.namespace]
    assert now != before
    assert history.registry()[team.namespace] == (now, False, None)


async def test_a_namespace_that_comes_back_takes_its_place_anew(cluster: Cluster, history: History, team: Kube) -> None:
    """The same operator has made the place before; what it remembers of it is no more."""
    settings = Settings(store_url=history.url, worker_image="none")
    provisioner = provisioner_of(cluster, history, settings)
    keeper = HistoryKeeper(settings, cluster, provisioner, history.owner)
    await provisioner.provision(team.namespace, None)
    await asyncio.to_thread(end, team)
    assert [await keeper.sweep_namespaces(), await keeper.sweep_namespaces()] == [[], [team.namespace]]

    team.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team.namespace}})
    location = await provisioner.provision(team.namespace, None)

    assert history.schemas == {location.schema}
    assert tenants.login_works(store_url(team))


async def test_an_operator_that_watches_some_namespaces_drops_none(
    cluster: Cluster, history: History, kube: Kube
) -> None:
    """It has no right to list them, and so cannot know what is gone."""
    schema = history.place("not-watched")
    keeper = keeper_of(cluster, history, kube.namespace)
    assert [await keeper.sweep_namespaces() for _ in range(3)] == [[], [], []]
    assert history.schemas == {schema}
    assert history.registry() == {"not-watched": (None, False, None)}


async def test_namespaces_of_another_cluster_are_left_alone(cluster: Cluster, history: History) -> None:
    schema = history.place("long-gone", owner="another cluster")
    keeper = keeper_of(cluster, history)
    assert [await keeper.sweep_namespaces() for _ in range(3)] == [[], [], []]
    assert history.schemas == {schema}


async def test_a_list_without_the_clusters_own_namespace_says_nothing(
    cluster: Cluster, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = history.place("long-gone")

    async def none(*_: object) -> list[dict[str, str]]:
        return []

    monkeypatch.setattr(cluster, "list_metadata", none)
    keeper = keeper_of(cluster, history)
    with capture_logs() as said:
        assert [await keeper.sweep_namespaces() for _ in range(3)] == [[], [], []]
    assert {entry["event"] for entry in said} == {"the API server lists no kube-system: no namespace is taken for gone"}
    assert history.schemas == {schema}
    assert history.registry() == {"long-gone": (None, False, None)}
