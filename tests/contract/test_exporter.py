"""What is posted to the exporter is in the database before it is answered by a success."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import Engine, create_engine, text

from tuning_client.cluster.observing import post
from tuning_exporter.app import build_app
from tuning_exporter.authentication import Authentication, Tokens
from tuning_exporter.snapshot import SnapshotReader
from tuning_exporter.studies import StudyIndex
from tuning_kube.errors import NotFound, Unavailable
from tuning_store.features import KnownFeatures, read_features
from tuning_store.production import Evidence, prepare, read_evidence
from tuning_store.urls import driver_url
from tuning_study.production.features import counts_of, reference_of

Alert = Mapping[str, Any]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
WATCHES = {"production": {"metrics": [{"name": "accuracy", "source": {"push": {}}}], "drift": {}}}


AUTHENTICATION = Authentication(Tokens(lambda: "secret", lambda: {"team": "teams", "another": "anothers"}))


class Api:
    """An API server that holds studies of one namespace."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.watches: Mapping[str, Any] = WATCHES
        self.status: Mapping[str, Any] = {}
        self.away = False
        self.listings = 0

    async def identity(self) -> str:
        return "cluster"

    async def list_metadata(self, *_: object) -> Sequence[Mapping[str, Any]]:
        if self.away:
            raise Unavailable("the API server does not answer")
        self.listings += 1
        return [{"namespace": "team", "name": name, "uid": f"uid of {name}"} for name in self.names]

    async def read_study(self, namespace: str, name: str) -> Mapping[str, Any]:
        if name not in self.names:
            raise NotFound(f"no {name}", 404)
        return {"metadata": {"uid": f"uid of {name}"}, "spec": self.watches, "status": self.status}


class Exporter:
    """The exporter, and the database behind it."""

    def __init__(self, client: TestClient[Any, Any], engine: Engine) -> None:
        self._client, self._engine = client, engine

    def url(self, path: str) -> str:
        return str(self._client.make_url(path))

    async def post(self, path: str, document: Any, token: str = "secret") -> tuple[int, Any]:
        body = io.BytesIO(json.dumps(document).encode())
        response = await self._client.post(path, data=body, headers={"Authorization": f"Bearer {token}"})
        return response.status, await response.json()

    async def deliver(self, *alerts: Alert, **more: Any) -> tuple[int, Any]:
        return await self.post("/alerts", {"version": "4", "alerts": alerts} | more)

    def evidence(self, study: str = "digits") -> Evidence:
        return read_evidence(self._engine, f"uid of {study}", observed_since=LONG_AGO)

    def predictions(self) -> list[tuple[str, Any, Any]]:
        """Each with its value and its label."""
        with self._engine.connect() as connection:
            chosen = text("SELECT id, value, label FROM tuning_admin.predictions ORDER BY id")
            return [tuple(row) for row in connection.execute(chosen)]

    def age_predictions(self, time: str) -> None:
        """As if all had been made then."""
        with self._engine.begin() as connection:
            connection.execute(text("UPDATE tuning_admin.predictions SET predicted_at = :time"), {"time": time})

    def features(self) -> KnownFeatures:
        return read_features(self._engine, "uid of digits")

    def fires(self, study: str = "digits") -> list[str]:
        return sorted(alert.name for alert in self.evidence(study).alerts)


@pytest.fixture
def api() -> Api:
    return Api("digits", "iris")


@pytest.fixture
def tables(postgres_url: str) -> None:
    prepare(postgres_url)


@pytest.fixture
async def exporter(api: Any, postgres_url: str) -> AsyncIterator[Exporter]:
    snapshots, engine = SnapshotReader(api, postgres_url, ()), create_engine(driver_url(postgres_url))
    app = build_app(api, snapshots, StudyIndex(api, ()), engine, AUTHENTICATION)
    async with TestClient(TestServer(app)) as client:
        yield Exporter(client, engine)
    engine.dispose()
    snapshots.engine.dispose()


def alert(study: str = "digits", name: str = "ModelIsBad", status: str = "firing", **labels: str) -> Alert:
    named = {"alertname": name, "namespace": "team", "study": study}
    return {"status": status, "labels": named | labels, "startsAt": "2026-01-01T00:00:00Z"}


@pytest.mark.usefixtures("tables")
class TestAlerts:
    async def test_each_is_stored_as_it_stands(self, exporter: Exporter) -> None:
        code, told = await exporter.deliver(alert(), alert(name="DataDrifted"), alert("iris"))
        assert (code, told["stored"]) == (200, ["team/digits", "team/iris"])
        assert (exporter.fires(), exporter.fires("iris")) == (["DataDrifted", "ModelIsBad"], ["ModelIsBad"])
        await exporter.deliver(alert(status="resolved"))
        assert exporter.fires() == ["DataDrifted"]

    async def test_one_that_ends_while_another_pods_begins_fires(self, exporter: Exporter) -> None:
        await exporter.deliver(alert(pod="a"))
        await exporter.deliver(alert(pod="b"), alert(pod="a", status="resolved"))
        assert exporter.fires() == ["ModelIsBad"]

    async def test_what_became_of_each_is_counted(self, exporter: Exporter) -> None:
        strange = {"status": "firing", "labels": {"alertname": "X"}}
        code, told = await exporter.deliver(alert(), alert("gone"), strange, {"status": 7}, truncatedAlerts=3)
        assert (code, told["alerts"]) == (
            200,
            {"stored": 1, "unknown_study": 1, "ignored": 1, "malformed": 1, "truncated": 3},
        )
        assert told["ignored"] == [
            "alerts.3.status: Input should be 'firing' or 'resolved'",
            "X: no labels `namespace` and `study`; add them to the rule",
            "team/gone: there is no such study",
        ]

    async def test_five_thousand_in_one_body_are_taken_and_one_that_is_malformed_takes_no_other_with_it(
        self, exporter: Exporter
    ) -> None:
        text = "accuracy is below the baseline for an hour. " * 20
        alerts = [{**alert(name=f"Rule{number}"), "annotations": {"description": text}} for number in range(4999)]
        began = time.perf_counter()
        code, told = await exporter.deliver(*alerts, {"status": "firing", "labels": 7})
        assert (code, told["alerts"]["stored"], told["alerts"]["malformed"]) == (200, 4999, 1)
        assert time.perf_counter() - began < 10, "Alertmanager gives up after its group_interval"

    async def test_a_storm_costs_the_api_server_one_listing(self, exporter: Exporter, api: Api) -> None:
        for number in range(50):
            assert (await exporter.deliver(alert(name=f"Rule{number}")))[0] == 200
        assert api.listings == 1
        assert len(exporter.fires()) == 50

    async def test_without_the_api_server_alertmanager_delivers_again(self, exporter: Exporter, api: Api) -> None:
        api.away = True
        assert (await exporter.deliver(alert()))[0] == 503
        api.away = False
        assert (await exporter.deliver(alert()))[0] == 200


async def test_without_the_tables_alertmanager_delivers_again(exporter: Exporter, postgres_url: str) -> None:
    code, told = await exporter.deliver(alert())
    assert code == 503
    assert "is the operator running?" in told["error"]
    prepare(postgres_url)
    assert (await exporter.deliver(alert()))[0] == 200


@pytest.mark.usefixtures("tables")
class TestObservations:
    async def test_they_are_stored(self, exporter: Exporter) -> None:
        body = {"namespace": "team", "study": "digits", "metrics": {"accuracy": {"good": 182, "total": 200}}}
        assert await exporter.post("/observations", body) == (200, {"stored": 1})
        [observation] = exporter.evidence().observations["accuracy"]
        assert (observation.value, observation.samples) == (0.91, 200)

    async def test_the_command_tells_it(self, exporter: Exporter) -> None:
        body = {"namespace": "team", "study": "digits", "metrics": {"accuracy": {"value": 0.91, "samples": 200}}}
        await asyncio.to_thread(post, exporter.url("/observations"), "secret", body)
        [observation] = exporter.evidence().observations["accuracy"]
        assert (observation.value, observation.samples) == (0.91, 200)

    async def test_of_a_body_with_a_mistake_nothing_is(self, exporter: Exporter) -> None:
        right = {"namespace": "team", "study": "digits", "metrics": {"accuracy": 0.9}}
        wrong = [right, right | {"study": "gone"}, right | {"metrics": {"f1": 0.5}}]
        code, told = await exporter.post("/observations", wrong)
        assert code == 422
        assert told["problems"] == [
            "team/gone: there is no such study",
            "team/digits: f1: production.metrics of the study has no such metric with `source: {push: {}}`; "
            "it watches accuracy",
        ]
        assert exporter.evidence().observations == {}


@pytest.mark.usefixtures("tables")
class TestFeatures:
    async def test_a_reference_is_kept_as_bins_and_what_comes_as_counts_in_them(self, exporter: Exporter) -> None:
        ages = [20.0, 30.0, 40.0, 50.0]
        body = {"namespace": "team", "study": "digits", "reference": {"age": ages}}
        assert (await exporter.post("/observations", body))[0] == 200
        sent = {"namespace": "team", "study": "digits", "features": {"age": [25, 35, None]}}
        assert await exporter.post("/observations", sent) == (200, {"stored": 1})
        assert await exporter.post("/observations", sent) == (200, {"stored": 1})
        known = exporter.features()
        assert known.references == {"age": reference_of(ages)}
        assert [batch.counts for batch in known.sent["age"]] == [counts_of(reference_of(ages), [25, 35, None])] * 2

    async def test_another_reference_forgets_what_was_counted_in_other_bins(self, exporter: Exporter) -> None:
        study = {"namespace": "team", "study": "digits"}
        await exporter.post("/observations", study | {"reference": {"a": [1, 2], "b": [1, 2]}})
        await exporter.post("/observations", study | {"features": {"a": [1], "b": [1]}})
        await exporter.post("/observations", study | {"reference": {"a": [1, 2], "b": [5, 6, 7]}})
        assert exporter.features().sent.keys() == {"a"}

    async def test_a_feature_that_nothing_is_known_of_is_told(self, exporter: Exporter) -> None:
        body = {"namespace": "team", "study": "digits", "metrics": {"accuracy": 0.9}, "features": {"age": [1]}}
        code, told = await exporter.post("/observations", body)
        assert code == 422
        assert "features.age: there is nothing to compare it with" in told["problems"][0]
        assert exporter.evidence().observations == {}


JUDGED_BY_PREDICTIONS: Mapping[str, Any] = {
    "production": {"metrics": [{"name": "accuracy", "source": {"predictions": {"score": "Accuracy", "delay": "2h"}}}]}
}


@pytest.mark.usefixtures("tables")
class TestPredictions:
    @pytest.fixture(autouse=True)
    def _watches(self, api: Api) -> None:
        api.watches = JUDGED_BY_PREDICTIONS

    async def test_they_are_stored_and_told_twice_they_are_known(self, exporter: Exporter) -> None:
        told = [{"id": "a", "value": "cat"}, {"id": "b", "value": "dog"}]
        body = {"namespace": "team", "study": "digits", "predictions": told, "labels": told[:1]}
        assert await exporter.post("/predictions", body) == (200, {"stored": 3, "known": 0, "late": 0})
        assert await exporter.post("/predictions", body) == (200, {"stored": 0, "known": 3, "late": 0})
        assert exporter.predictions() == [("a", "cat", "cat"), ("b", "dog", None)]

    async def test_one_whose_window_is_closed_is_told_as_late(self, exporter: Exporter) -> None:
        told = [{"id": "a", "value": 1, "time": "2026-01-01T00:00:00Z"}, {"id": "b", "value": 1}]
        body = {"namespace": "team", "study": "digits", "predictions": told}
        assert await exporter.post("/predictions", body) == (200, {"stored": 1, "known": 0, "late": 1})
        assert exporter.predictions() == [("b", 1, None)]

    async def test_a_label_whose_window_is_closed_is_told_as_late(self, exporter: Exporter, api: Api) -> None:
        study, old, new = {"namespace": "team", "study": "digits"}, {"id": "a", "value": 1}, {"id": "b", "value": 1}
        await exporter.post("/predictions", study | {"predictions": [old]})
        exporter.age_predictions("2026-01-01T00:00:00Z")
        await exporter.post("/predictions", study | {"predictions": [new]})
        labels = study | {"labels": [old, new]}
        assert await exporter.post("/predictions", labels) == (200, {"stored": 1, "known": 0, "late": 1})
        assert await exporter.post("/predictions", labels) == (200, {"stored": 0, "known": 2, "late": 0})
        assert exporter.predictions() == [("a", 1, 1), ("b", 1, 1)]

    async def test_labels_of_one_study_in_two_parts_are_late_once_each(self, exporter: Exporter) -> None:
        study = {"namespace": "team", "study": "digits"}
        told = [{"id": "a", "value": 1}, {"id": "b", "value": 1}]
        await exporter.post("/predictions", study | {"predictions": told})
        exporter.age_predictions("2026-01-01T00:00:00Z")
        parts = [study | {"labels": [label]} for label in told]
        assert await exporter.post("/predictions", parts) == (200, {"stored": 0, "known": 0, "late": 2})

    async def test_of_a_body_with_a_mistake_nothing_is_stored(self, exporter: Exporter) -> None:
        right = {"namespace": "team", "study": "digits", "predictions": [{"id": "a", "value": 1}]}
        code, told = await exporter.post("/predictions", [right, right | {"study": "gone"}])
        assert (code, told["problems"]) == (422, ["team/gone: there is no such study"])
        code, told = await exporter.post("/predictions", right | {"predictions": [{"id": "a"}]})
        assert (code, told["problems"]) == (400, ["0.predictions.0.value: Field required"])
        assert exporter.predictions() == []

    async def test_a_study_that_keeps_as_many_as_it_may_is_told_to_send_fewer(
        self, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tuning_store.predictions.MOST_KEPT", 1)
        told = [{"id": "a", "value": 1}, {"id": "b", "value": 1}]
        body = {"namespace": "team", "study": "digits", "predictions": told}
        code, answer = await exporter.post("/predictions", body)
        assert (code, answer["error"].partition(":")[0]) == (429, "not stored")
        assert exporter.predictions() == []


async def test_without_the_tables_predictions_are_to_be_sent_again(exporter: Exporter, api: Api) -> None:
    api.watches = JUDGED_BY_PREDICTIONS
    body = {"namespace": "team", "study": "digits", "labels": [{"id": "a", "value": 1}]}
    assert (await exporter.post("/predictions", body))[0] == 503


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(("token", "answer"), [("teams", 200), ("anothers", 403), ("forged", 401), ("", 401)])
class TestTokens:
    """What a token does not speak for stays as it is."""

    async def test_alerts(self, exporter: Exporter, token: str, answer: int) -> None:
        body = {"version": "4", "alerts": [alert()]}
        assert (await exporter.post("/alerts", body, token))[0] == answer
        assert bool(exporter.fires()) == (answer == 200)

    async def test_observations(self, exporter: Exporter, token: str, answer: int) -> None:
        body = {"namespace": "team", "study": "digits", "metrics": {"accuracy": 0.9}}
        assert (await exporter.post("/observations", body, token))[0] == answer
        assert bool(exporter.evidence().observations) == (answer == 200)

    async def test_predictions(self, exporter: Exporter, api: Api, token: str, answer: int) -> None:
        api.watches = JUDGED_BY_PREDICTIONS
        body = {"namespace": "team", "study": "digits", "predictions": [{"id": "a", "value": 1}]}
        assert (await exporter.post("/predictions", body, token))[0] == answer
        assert bool(exporter.predictions()) == (answer == 200)


@pytest.mark.usefixtures("tables")
async def test_what_names_another_namespace_too_changes_nothing_at_all(exporter: Exporter) -> None:
    theirs = dict(alert()) | {"labels": dict(alert()["labels"]) | {"namespace": "another"}}
    code, told = await exporter.post("/alerts", {"version": "4", "alerts": [alert(), theirs]}, "teams")
    assert (code, told["problems"]) == (403, ["another: the token speaks for another namespace"])
    assert exporter.fires() == []


@pytest.mark.usefixtures("tables")
class TestCounts:
    @pytest.fixture(autouse=True)
    def a_canary(self, api: Api) -> None:
        api.watches = {"promotion": {"canary": {"metrics": [{"name": "errors", "push": {}}]}}}
        canary = {"parameters": "digits-params-r2-2222bbbb", "deployment": "api-canary-2222bbbb"}
        api.status = {"promotion": {"stable": "digits-params-r1-1111aaaa", "canary": canary}}

    def body(self, parameters: str = "digits-params-r2-2222bbbb", **more: Any) -> dict[str, Any]:
        counts = {"errors": {"bad": 3, "total": 200}}
        return {"namespace": "team", "study": "digits", "parameters": parameters, "counts": counts} | more

    async def test_of_both_sides_are_stored_and_others_are_not_compared(self, exporter: Exporter) -> None:
        sides = [self.body(), self.body("digits-params-r1-1111aaaa"), self.body("digits-params-r1-3333cccc")]
        assert await exporter.post("/counts", sides, token="teams") == (200, {"stored": 2, "notCompared": 1})

    async def test_are_refused_as_a_whole_with_what_to_write(self, exporter: Exporter) -> None:
        code, told = await exporter.post("/counts", [self.body(), self.body(counts={"speed": {"bad": 0, "total": 1}})])
        assert (code, told["error"]) == (422, "not stored")
        assert told["problems"] == [
            "team/digits: counts.speed: promotion.canary.metrics of the study has no such metric with `push: {}`; it"
            " has errors"
        ]

    async def test_that_are_none_are_told(self, exporter: Exporter) -> None:
        code, told = await exporter.post("/counts", self.body(counts={"errors": {"bad": 2, "total": 1}}))
        assert (code, told["error"]) == (400, "no counts")
        assert told["problems"] == ["0.counts.errors: `bad` counts some of what `total` counts: it is at most `total`"]

    async def test_of_another_namespace_need_its_token(self, exporter: Exporter) -> None:
        assert (await exporter.post("/counts", self.body(), token="anothers"))[0] == 403
