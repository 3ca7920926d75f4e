"""The record of rounds, on a real PostgreSQL: what is written when, and that it is written once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builders import make_pod
from contract.test_promotion import Promoting
from contract.test_retuning import Production
from tuning_kube.names import RETUNE_ANNOTATION
from tuning_study.attributes import FINGERPRINT_ATTRIBUTE, VERSIONS_ATTRIBUTE
from tuning_study.requests import RetuneRequest
from tuning_study.round import ResolvedRound

IMAGE = "example.com/worker@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"


@pytest.fixture
def world(postgres_url: str) -> Promoting:
    return Promoting(postgres_url)


def told(world: Promoting) -> list[tuple[str, str]]:
    about_rounds = ("RoundStarted", "RoundEnded", "RetuneSuppressed")
    return [(line.kind, line.actor) for line in world.recorded() if line.kind in about_rounds]


async def test_each_round_has_a_line_at_its_beginning_and_one_at_its_end(world: Promoting) -> None:
    await world.finish_round(0.5)
    request = RetuneRequest("t", "new data", evidence={"by": "ada"})
    world.cluster.annotate(RETUNE_ANNOTATION, request.to_annotation("12:00"))
    await world.look_until(lambda: world.cluster.status["round"] == 2)
    await world.finish_round(0.7)
    assert told(world) == [
        ("RoundStarted", "the manifest"),
        ("RoundEnded", "the operator"),
        ("RoundStarted", "ada"),
        ("RoundEnded", "the operator"),
    ]
    [*_, started, ended] = [line for line in world.recorded() if line.kind.startswith("Round")]
    resolved = ResolvedRound.model_validate(started.evidence["resolved"])
    kept = json.loads(world.cluster.objects["ConfigMap", "digits-r2"]["data"]["round.json"])
    assert resolved == ResolvedRound.model_validate(kept)
    assert ended.evidence["outcome"] == "Improved"
    assert ended.evidence["best"]["metrics"] == {"accuracy": pytest.approx(0.7)}


async def test_the_end_tells_what_the_workers_ran_and_asks_for_it_once(world: Promoting) -> None:
    await world.look_until(lambda: world.cluster.status.get("state") == "Running")
    pod = make_pod("digits-r1-0")
    pod["status"]["containerStatuses"][0]["imageID"] = IMAGE
    world.cluster.pods = [pod]
    store = world.store()
    study = store.load_study("team/digits/uid-1/r1")
    study.set_user_attr(VERSIONS_ATTRIBUTE, {"numpy": "2.0"})
    study.set_user_attr(FINGERPRINT_ATTRIBUTE, "rows.csv, SHA-256 ab")
    store.close()
    before = world.cluster.calls["list_pods"]
    await world.finish_round(0.5)
    [ended] = [line.evidence for line in world.recorded() if line.kind == "RoundEnded"]
    assert (ended["images"], ended["versions"], ended["data"]) == ([IMAGE], {"numpy": "2.0"}, "rows.csv, SHA-256 ab")
    lists = world.cluster.calls["list_pods"] - before
    await world.settle(10)
    assert lists <= 2 and world.cluster.calls["list_pods"] == before + lists


async def test_an_operator_that_ends_at_any_moment_records_each_thing_once(world: Promoting) -> None:
    for _ in range(4):
        world.restart()
        await world.look()
    await world.finish_round(0.5)
    for _ in range(4):
        world.restart()
        await world.look()
    assert told(world) == [("RoundStarted", "the manifest"), ("RoundEnded", "the operator")]


async def test_an_alert_that_repeats_while_it_may_start_nothing_is_one_line(postgres_url: str) -> None:
    told = Production(postgres_url)  # whose manifest has no triggers
    await told.finish_round()
    for _ in range(20):
        told.alert()
        told.world.restart()
        await told.look()
    refused = [line for line in told.world.recorded() if line.kind == "RetuneSuppressed"]
    assert [(line.actor, line.evidence["outcome"]) for line in refused] == [("an alert", "NotATrigger")]


async def test_a_text_of_a_request_that_no_database_takes_is_kept_without_it(world: Promoting) -> None:
    await world.finish_round(0.5)
    evidence: dict[str, Any] = {"by": "a\x00da", "note": "\ud800"}
    world.cluster.annotate(RETUNE_ANNOTATION, RetuneRequest("t", "new", evidence=evidence).to_annotation("12:00"))
    await world.look_until(lambda: world.cluster.status["round"] == 2)
    assert told(world)[-1] == ("RoundStarted", "a\ufffdda")
