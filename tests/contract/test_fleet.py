"""The dashboard's HTTP of studies in production: what the page is told of a cluster, and of what the store keeps."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import Engine, create_engine

from fleets import MARKUP, FakeFleet, degraded, healthy, make_body, make_watched, metric, observed, sent, soon
from tuning_dashboard import app
from tuning_dashboard.app import build_app
from tuning_dashboard.cluster import ClusterFleet
from tuning_dashboard.fleet import Fleet, FleetUnavailable
from tuning_dashboard.stores import OneStore
from tuning_kube.errors import Forbidden, Unavailable
from tuning_kube.names import FROZEN_ANNOTATION
from tuning_store import features, production
from tuning_store.exceptions import StoreError
from tuning_store.features import Place
from tuning_store.production import Reading
from tuning_store.store import Store
from tuning_store.tenants import TenantStores
from tuning_store.urls import driver_url
from tuning_study.production.features import Counts, Reference
from tuning_study.production.observation import Observation

from . import server_sent

Client = TestClient[Any, Any]


@asynccontextmanager
async def serving(store: Store, fleet: Fleet | None) -> AsyncIterator[Client]:
    async with TestClient(TestServer(build_app(OneStore(store), fleet=fleet))) as client:
        yield client


async def told(client: Client, path: str, status: int = 200, **query: str) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status == status
    return await answer.json()


async def test_the_page_has_its_first_state_in_it(sqlite_store: Store) -> None:
    hostile = make_watched(MARKUP, production=[metric(soon())])
    async with serving(sqlite_store, FakeFleet([hostile])) as client:
        for address in ("/fleet", "/fleet/study?place=team/digits"):
            html = await (await client.get(address)).text()
            assert MARKUP not in html
            assert "data-fleet" in html
        html = await (await client.get("/fleet")).text()
        (first,) = re.findall(r'<script type="application/json" id="first">(.*?)</script>', html)
        assert [row["name"] for row in json.loads(first)["/api/fleet"]["studies"]] == [MARKUP]


async def test_a_machine_without_a_cluster_has_no_such_page(sqlite_store: Store) -> None:
    async with serving(sqlite_store, None) as client:
        assert "data-fleet" not in await (await client.get("/")).text()
        for path in ("/fleet", "/api/fleet", "/api/fleet/study?place=a/b"):
            assert (await client.get(path)).status == 404


async def test_one_study_is_told_in_full_and_over_time(sqlite_store: Store) -> None:
    now = soon()
    fleet = FakeFleet(degraded(now), {"digits": (observed(now), sent(now))})
    async with serving(sqlite_store, fleet) as client:
        study = await told(client, "/api/fleet/study", place="team/digits")
        assert [wait["kind"] for wait in study["waits"]] == ["RoundsUsedUp", "Drifted"]
        history = await told(client, "/api/fleet/over-time", place="team/digits")
        assert len(history["metrics"]["accuracy"]) == 14 * 24
        assert history["drift"][0]["feature"] == "age"


@pytest.mark.parametrize(
    ("path", "status", "want"),
    [
        ("/api/fleet/study", 400, "give the study: ?place=NAMESPACE/NAME"),
        ("/api/fleet/over-time?place=", 400, "give the study: ?place=NAMESPACE/NAME"),
        ("/api/fleet/study?place=team/none", 404, "there is no study team/none"),
        ("/api/fleet/over-time?place=other/digits", 404, "there is no study other/digits"),
    ],
)
async def test_what_is_not_there_is_told(sqlite_store: Store, path: str, status: int, want: str) -> None:
    async with serving(sqlite_store, FakeFleet(healthy(soon()))) as client:
        answer = await client.get(path)
        assert answer.status == status
        assert want in await answer.text()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_can_be_changed(sqlite_store: Store, method: str) -> None:
    async with serving(sqlite_store, FakeFleet()) as client:
        for path in ("/fleet", "/api/fleet", "/api/fleet/study", "/api/fleet/over-time", "/api/fleet/events"):
            assert (await client.request(method, path)).status == 405


async def test_it_is_told_anew_when_it_changes_and_when_the_cluster_is_away(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_FLEET_PACE", 0.02)
    monkeypatch.setattr("tuning_dashboard.fleet._FRESH", 0.0)
    fleet = FakeFleet(healthy(soon()))
    async with serving(sqlite_store, fleet) as client, client.get("/api/fleet/events") as answer:
        events = server_sent.events(answer)
        name, seen = await anext(events)
        assert (name, len(seen["studies"])) == ("fleet", 5)
        fleet.shown = []
        assert (await anext(events))[1]["totals"]["watched"] == 0
        fleet.unavailable = "no answer"
        assert await anext(events) == ("away", {"message": "no answer"})
        fleet.unavailable = ""
        assert (await anext(events))[0] == "back"


async def test_a_cluster_that_does_not_answer_is_told(sqlite_store: Store) -> None:
    async with serving(sqlite_store, FakeFleet(unavailable="the cluster's studies cannot be read")) as client:
        assert (await told(client, "/api/fleet", 503))["error"] == "the cluster's studies cannot be read"
        assert (await client.get("/fleet")).status == 200


class FakeCluster:
    def __init__(self, answer: list[Mapping[str, Any]] | Exception) -> None:
        self._answer = answer

    async def list_studies(self, namespaces: object) -> list[Mapping[str, Any]]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def fleet_of(answer: list[Mapping[str, Any]] | Exception, stores: Any = None) -> ClusterFleet:
    return ClusterFleet(FakeCluster(answer), stores, [])  # type: ignore[arg-type]


async def test_a_resource_is_read_with_its_annotation_of_being_frozen() -> None:
    body = make_body(state="Complete")
    body["metadata"]["annotations"] = {FROZEN_ANNOTATION: "2126-03-08T12:00:00"}
    (study,) = await fleet_of([body]).studies()
    assert study.is_watched
    assert study.frozen_until is not None and study.frozen_until.year == 2126


@pytest.mark.parametrize(
    ("error", "want"),
    [
        (Forbidden("403 Forbidden: tuningstudies is forbidden", 403), "let its service account `list` tuningstudies"),
        (Unavailable("no answer"), "the cluster's studies cannot be read: no answer"),
    ],
)
async def test_what_the_api_server_refuses_says_what_to_do(error: Exception, want: str) -> None:
    with pytest.raises(FleetUnavailable, match=re.escape(want)):
        await fleet_of(error).studies()


@pytest.fixture
def admin(postgres_url: str) -> Iterator[Engine]:
    production.prepare(postgres_url)
    engine = create_engine(driver_url(postgres_url))
    yield engine
    engine.dispose()


@pytest.fixture
def stores(postgres_url: str) -> Iterator[TenantStores]:
    opened = TenantStores(postgres_url, "cluster")
    yield opened
    opened.close()


def test_what_the_store_keeps_of_a_study_is_read(admin: Engine, stores: TenantStores) -> None:
    now, study = soon(), make_watched()
    readings = [
        Reading(uid, "team", "accuracy", Observation(now, value, 200)) for uid, value in ((study.uid, 0.91), ("x", 0.1))
    ]
    production.add_observations(admin, "cluster", readings)
    place, reference = Place("cluster", "team", study.uid), Reference(Counts((50, 50)), edges=(0.0,))
    features.keep_references(admin, place, {"age": reference}, whole=True)
    with admin.begin() as connection:
        features.insert_counts(connection, place, {"age": Counts((90, 10))})

    evidence, known = fleet_of([], stores).told(study)

    assert [one.value for one in evidence.observations["accuracy"]] == [0.91]
    assert [each.counts for each in known.sent["age"]] == [Counts((90, 10))]


def test_it_is_read_by_sessions_that_may_not_write(admin: Engine, stores: TenantStores) -> None:
    reading = Reading("uid", "team", "accuracy", Observation(soon(), 0.91))
    with pytest.raises(StoreError, match="read-only transaction"):
        production.add_observations(stores.engine, "cluster", [reading])
