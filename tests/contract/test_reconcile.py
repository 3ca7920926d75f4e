"""One study from look to look, on a real PostgreSQL and an API server in memory: what is read, done, told and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from sqlalchemy import create_engine

from builders import MAXIMIZE, MINIMIZE, make_manifest_spec, make_round
from fakes import FakeCluster
from tuning_kube.errors import Conflict, Invalid
from tuning_kube.names import RETUNE_ANNOTATION
from tuning_operator.observe.canaries import Canaries
from tuning_operator.observe.evidence import EvidenceCache
from tuning_operator.provision import Provisioner
from tuning_operator.reconcile import Memory, Reconciler
from tuning_operator.settings import Settings
from tuning_operator.stores import Stores
from tuning_report.round_history import read
from tuning_store import record
from tuning_store.store import Store, open_store
from tuning_store.urls import driver_url
from tuning_store.values import ClaimedTrial

from .conftest import start_round

Object = dict[str, Any]
JOB = "digits-r1"


class World:
    """A study, the operator's reconciler, and what the watches have shown of the cluster so far."""

    def __init__(self, url: str, **spec: Any) -> None:
        self.url = url
        metadata = {"namespace": "team", "name": "digits", "uid": "uid-1", "generation": 1, "resourceVersion": "1"}
        self.cluster = FakeCluster({"metadata": metadata, "spec": make_manifest_spec(**spec)})
        self.restart()
        self.see()

    def restart(self) -> None:
        """Another operator takes over: nothing of what the last one remembers is left."""
        settings = Settings(self.url, "worker:1")
        self.stores = Stores(self.url, "cluster")
        self.evidence = EvidenceCache(self.stores)
        provisioner = Provisioner(settings, self.cluster, self.stores)
        self.canaries = Canaries()
        self.reconciler = Reconciler(settings, self.cluster, self.stores, provisioner, self.evidence, self.canaries)
        self.memory = Memory()

    def see(self) -> None:
        """The watches show everything as it is now."""
        self.seen, self.jobs = self.cluster.study, dict(self.cluster.jobs)

    async def look(self, *, lagging: bool = False) -> None:
        """One look at the study, after the watches have caught up unless they lag."""
        if not lagging:
            self.see()
        await self.reconciler.reconcile(self.seen, self.jobs, self.memory)

    async def look_until(self, holds: Callable[[], bool]) -> None:
        """Look as often as the operator does: a reading of the store may be a second old."""
        async with asyncio.timeout(10):
            while not holds():
                await self.look()
                await asyncio.sleep(0.1)

    def store(self) -> Store:
        """As a worker of the namespace sees it."""
        return open_store(self.cluster.objects["Secret", "tuning-store"]["stringData"]["url"], worker="digits-r1-0-x")

    def recorded(self) -> list[record.Line]:
        """As the namespace's own login reads it."""
        engine = create_engine(driver_url(self.cluster.objects["Secret", "tuning-store"]["stringData"]["url"]))
        try:
            return record.read_own(engine, "digits")
        finally:
            engine.dispose()

    def complete(self, *values: float, infeasible: bool = False, number: int = 1) -> None:
        """A worker completes one trial of the round of this number."""
        store = self.store()
        study = store.load_study(f"team/digits/uid-1/r{number}")
        claimed = store.claims.claim(study._study_id)
        assert isinstance(claimed, ClaimedTrial)
        trial = optuna.trial.Trial(study, study.trials[claimed.number]._trial_id)
        trial.suggest_float("x", 0, 1)
        if infeasible:
            trial.set_constraint("accuracy>=0.9", 0.4)
        study.tell(claimed.number, list(values))
        assert study.trials[claimed.number].state is TrialState.COMPLETE
        store.close()


@pytest.fixture
def world(postgres_url: str) -> World:
    return World(postgres_url)


async def test_the_first_look_makes_all_that_a_round_needs_and_tells_it(world: World) -> None:
    await world.look()
    assert world.cluster.wrote == ["apply Secret", "apply ConfigMap", "create Job", "write status"]
    assert world.cluster.objects.keys() == {("Secret", "tuning-store"), ("ConfigMap", JOB), ("Job", JOB)}
    assert (world.cluster.status["state"], world.cluster.status["trials"]["summary"]) == ("Running", "0/10")
    assert "RoundStarted" in world.cluster.reasons
    store = world.store()
    assert store.readings.progress().keys() == {"team/digits/uid-1/r1"}
    store.close()


async def test_a_look_at_what_has_not_changed_writes_nothing(world: World) -> None:
    await world.look()
    await world.look()
    world.cluster.wrote.clear()
    await world.look()
    assert world.cluster.wrote == []


async def test_a_watch_that_lags_is_no_reason_to_do_anything_twice(world: World) -> None:
    await world.look()
    world.jobs = dict(world.cluster.jobs)
    world.cluster.wrote.clear()
    await world.look(lagging=True)  # the study as it was before its status was written
    assert world.cluster.wrote == []

    world.cluster.change_spec(workers={"replicas": 3})
    world.seen = world.cluster.study
    await world.look(lagging=True)
    assert world.cluster.wrote == ["patch Job", "write status"]
    await world.look(lagging=True)  # the Job as it was before it was scaled
    assert world.cluster.wrote == ["patch Job", "write status"]


async def test_an_operator_that_takes_over_finds_everything_in_its_place(world: World) -> None:
    await world.look()
    await world.look()
    world.cluster.wrote.clear()
    events = dict(world.cluster.events)
    world.restart()
    await world.look()
    assert world.cluster.wrote == []
    assert world.cluster.events == events


async def test_what_was_told_before_the_status_is_told_once_though_the_status_was_not_written(world: World) -> None:
    world.cluster.fails["write_status"] = [Conflict("409", 409)]
    with pytest.raises(Conflict):
        await world.look()
    told = dict(world.cluster.events)
    assert "RoundStarted" in world.cluster.reasons
    world.restart()
    await world.look()
    assert world.cluster.events == told
    assert world.cluster.status["round"] == 1


async def test_a_status_that_the_api_server_refuses_is_told_without_foreign_texts(world: World) -> None:
    await world.look()
    world.complete(0.5)
    world.cluster.change_spec(workers={"replicas": 2})
    world.cluster.fails["write_status"] = [Invalid("422", 422)]
    await world.look()
    assert world.cluster.status["trials"]["complete"] == 1
    assert "best" not in world.cluster.status


async def test_workers_that_are_refused_are_told_and_tried_again(world: World) -> None:
    world.cluster.fails["create_job"] = [Invalid("422: no such field", 422)]
    await world.look()
    assert world.cluster.condition("Running") == ("False", "WorkersRefused")
    assert world.cluster.jobs == {}
    await world.look()
    assert world.cluster.jobs.keys() == {JOB}
    await world.look()
    assert world.cluster.condition("Running") == ("True", "RoundStarted")


async def test_a_study_that_would_learn_from_one_that_is_not_there_waits_for_it_and_nothing_is_made(
    postgres_url: str,
) -> None:
    world = World(postgres_url, warmStart={"studies": [{"name": "wine", "top": 1}]})
    await world.look()
    assert world.cluster.condition("Running") == ("False", "EarlierStudyMissing")
    assert world.cluster.objects.keys() == {("Secret", "tuning-store")}
    assert (world.cluster.status["state"], world.cluster.status["rounds"]) == ("Pending", [])
    assert "EarlierStudyMissing" in world.cluster.reasons
    told = dict(world.cluster.events)
    await world.look()
    assert world.cluster.events == told

    store = world.store()
    start_round(store, make_round("wine"))
    wine = store.load_study("team/wine/uid-1/r1")
    wine.add_trial(create_trial(params={"x": 0.25}, distributions={"x": FloatDistribution(0, 1)}, value=0.9))
    await world.look()
    assert world.cluster.condition("Running") == ("True", "RoundStarted")
    first = store.load_study("team/digits/uid-1/r1").trials[0]
    assert first.system_attrs["fixed_params"] == {"x": 0.25}
    store.close()


async def test_a_store_that_is_away_stops_nothing_and_is_told(world: World) -> None:
    await world.look()
    reachable = world.url
    world.url = "postgresql://nobody@127.0.0.1:1/none"
    world.restart()
    world.cluster.wrote.clear()
    await world.look()
    assert world.cluster.condition("StoreReady") == ("False", "Unreachable")
    assert world.cluster.wrote == ["write status"]
    assert world.cluster.status["state"] == "Running"

    world.url = reachable
    world.restart()
    await world.look()
    assert world.cluster.condition("StoreReady") == ("True", "Connected")
    assert world.cluster.jobs.keys() == {JOB}


async def test_counts_wait_for_their_turn_and_an_end_does_not(world: World) -> None:
    await world.look()
    await world.look()
    world.cluster.wrote.clear()
    world.complete(0.5)
    await world.look()
    assert world.cluster.wrote == [], "the round is younger than five seconds"
    for value in range(9):
        world.complete(value / 10)
    await world.look_until(lambda: world.cluster.status["state"] == "Complete")
    assert world.cluster.wrote == ["write status"]
    assert world.cluster.status["best"]["metrics"] == [{"name": "accuracy", "value": 0.8}]


async def test_pods_are_listed_when_there_is_a_reason_to(world: World) -> None:
    await world.look()
    await world.look()
    assert world.cluster.calls["list_pods"] == 0
    world.cluster.set_job_status(JOB, failed=1)
    await world.look()
    await world.look()
    assert world.cluster.calls["list_pods"] == 1, "once for each change of the Job"


async def test_the_trial_of_a_pod_that_is_gone_waits_again(world: World) -> None:
    await world.look()
    store = world.store()
    study = store.load_study("team/digits/uid-1/r1")
    assert isinstance(store.claims.claim(study._study_id), ClaimedTrial)
    await world.look_until(lambda: "TrialsPutBack" in world.cluster.reasons)
    assert study.get_trials(deepcopy=False)[0].state is TrialState.WAITING
    store.close()


async def test_a_request_starts_a_round_from_the_best_of_the_last(world: World) -> None:
    await world.look()
    for value in range(10):
        world.complete(value / 10)
    await world.look_until(lambda: world.cluster.status["state"] == "Complete")
    world.cluster.annotate(RETUNE_ANNOTATION, "please")
    world.cluster.wrote.clear()
    await world.look()
    assert world.cluster.wrote == ["delete Job", "apply ConfigMap", "create Job", "write status"]
    assert world.cluster.jobs.keys() == {"digits-r2"}
    assert world.cluster.status["retune"]["lastOutcome"] == "Started"
    assert [entry["trigger"] for entry in world.cluster.status["rounds"]] == ["Created", "Manual"]
    store = world.store()
    waiting = store.load_study("team/digits/uid-1/r2").get_trials(deepcopy=False)
    assert len(waiting) == 10
    store.close()


async def test_a_selection_that_changes_after_the_end_names_another_trial_and_starts_nothing(postgres_url: str) -> None:
    order = {"policy": "Lexicographic", "order": ["accuracy"]}
    world = World(postgres_url, metrics=[MAXIMIZE, MINIMIZE], selection=order, budget={"trials": 3})
    await world.look()
    for values in [(0.9, 9.0), (0.88, 2.0), (0.5, 1.0)]:
        world.complete(*values)
    await world.look_until(lambda: world.cluster.status["state"] == "Complete")
    best = world.cluster.status["best"]
    assert (best["trial"], best["chosenBy"]) == (0, "Lexicographic among 3")
    assert "trial 0 is chosen by Lexicographic among 3" in str(world.cluster.status["conditions"])

    world.cluster.study["spec"]["selection"] = {"policy": "Knee"}
    world.cluster.study["metadata"] |= {"generation": 2, "resourceVersion": "2000"}
    await world.look_until(lambda: world.cluster.status["best"]["trial"] == 1)
    assert world.cluster.status["round"] == 1
    assert world.cluster.status["best"]["chosenBy"] == "Knee among 3"
    assert world.cluster.status["rounds"][-1]["best"]["trial"] == 1
    store = world.store()
    assert read(store, "team/digits/uid-1/r1").chosen_by == "Knee among 3"
    store.close()


async def test_with_a_selection_nothing_is_chosen_where_nothing_is_feasible(postgres_url: str) -> None:
    world = World(
        postgres_url,
        metrics=[MAXIMIZE, MINIMIZE],
        selection={"policy": "Knee"},
        constraints=[{"metric": "accuracy", "min": 0.9}],
        budget={"trials": 1},
    )
    await world.look()
    world.complete(0.5, 9.0, infeasible=True)
    await world.look_until(lambda: world.cluster.status["state"] == "Complete")
    assert world.cluster.status.get("best") is None
    assert "no trial is feasible, so none is chosen" in str(world.cluster.status["conditions"])


async def test_a_namespace_that_ends_takes_its_workers_along(world: World) -> None:
    await world.look()
    world.see()
    world.cluster.wrote.clear()
    await world.reconciler.reconcile(world.seen, world.jobs, world.memory, namespace_ends=True)
    assert world.cluster.wrote == ["delete Job"]
