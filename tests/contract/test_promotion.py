"""From verified parameters to production and back, on a real PostgreSQL: objects, record, and an operator that ends."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import optuna
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from builders import make_manifest_spec
from contract.test_reconcile import World
from tuning_kube.errors import ClusterError, Conflict, Forbidden
from tuning_kube.names import PARAMETERS_ANNOTATION, PROMOTE_ANNOTATION, ROLLBACK_ANNOTATION
from tuning_store import rounds
from tuning_store.store import Store
from tuning_store.urls import driver_url
from tuning_store.values import ClaimedTrial
from tuning_study.attributes import METRICS_ATTRIBUTE
from tuning_study.manifest import read_spec
from tuning_study.promotion.requests import to_annotation
from tuning_study.round import read_round

STABLE = "digits-params-stable"
SPEC: dict[str, Any] = {
    "budget": {"trials": 2},
    "retune": {"budget": {"trials": 3}},
    "verification": {"top": 2, "repeats": 3},
    "promotion": {"mode": "Automatic"},
}
TARGET = {"deployment": {"name": "digits-api"}}


class Promoting(World):
    """A study whose trials are worth their x, and whose parameters go to production."""

    def __init__(self, url: str, **spec: Any) -> None:
        super().__init__(url, **(SPEC | spec))

    async def finish_round(self, x: float) -> None:
        """A worker searches at this x and a little below it, then verifies; the operator looks until it has told."""
        number = self.cluster.status.get("round", 0) or 1
        await self.look_until(lambda: self.cluster.status.get("state") == "Running")
        number = self.cluster.status["round"]
        store = self.store()
        self._work(store, f"team/digits/uid-1/r{number}", x)
        search = read_round(store.load_study(f"team/digits/uid-1/r{number}").user_attrs)
        verification = rounds.begin_verification(store, search)
        assert verification is not None
        self._work(store, verification.study, x)
        store.close()
        await self.look_until(lambda: self.cluster.status["state"] == "Complete")

    async def retune(self, x: float) -> None:
        before = self.cluster.status["round"]
        self.cluster.annotate("tuning.dev/retune-requested", f"round {before + 1}")
        await self.look_until(lambda: self.cluster.status["round"] == before + 1)
        await self.finish_round(x)

    async def settle(self, looks: int = 8) -> None:
        for _ in range(looks):
            await self.look()

    def ask(self, annotation: str, **request: Any) -> None:
        request.setdefault("by", "ada")
        self.cluster.annotate(annotation, to_annotation(f"{self.cluster.study['metadata']}", **request))

    @property
    def promotion(self) -> dict[str, Any]:
        promotion: dict[str, Any] = self.cluster.status["promotion"]
        return promotion

    @property
    def serving(self) -> float:
        """The x that applications read."""
        x: float = json.loads(self.cluster.objects["ConfigMap", STABLE]["data"]["params.json"])["x"]
        return x

    def _work(self, store: Store, name: str, x: float) -> None:
        study = store.load_study(name)
        places = iter([x, x - 0.05, x - 0.1, x - 0.15])
        while isinstance(claimed := store.claims.claim(study._study_id), ClaimedTrial):
            if "fixed_params" not in study.trials[claimed.number].system_attrs:
                study.sampler = optuna.samplers.PartialFixedSampler(
                    {"x": next(places)}, optuna.samplers.RandomSampler()
                )
            trial = optuna.trial.Trial(study, study.trials[claimed.number]._trial_id)
            value = trial.suggest_float("x", 0, 1)
            trial.set_user_attr(METRICS_ATTRIBUTE, {"accuracy": value})
            study.tell(claimed.number, value)


@pytest.fixture
def world(postgres_url: str) -> Promoting:
    return Promoting(postgres_url)


HOOK = {"job": {"template": {"spec": {"containers": [{"name": "main", "image": "hook:1"}]}}}}


@pytest.fixture
def hooked(postgres_url: str) -> Promoting:
    return Promoting(postgres_url, promotion={"mode": "Automatic", "target": HOOK})


@pytest.fixture
def rolling(postgres_url: str) -> Promoting:
    made = Promoting(postgres_url, promotion={"mode": "Automatic", "target": TARGET})
    made.cluster.add_deployment("digits-api")
    return made


async def test_a_round_leaves_an_object_that_applications_can_read(world: Promoting) -> None:
    await world.finish_round(0.5)
    await world.settle()
    [name] = [name for kind, name in world.cluster.objects if name.startswith("digits-params-r1-")]
    kept, stable = world.cluster.objects["ConfigMap", name], world.cluster.objects["ConfigMap", STABLE]
    assert kept["immutable"] and kept["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    assert "ownerReferences" not in stable["metadata"]
    assert stable["metadata"]["annotations"] == {PARAMETERS_ANNOTATION: name}
    assert stable["data"] == kept["data"]
    assert stable["data"]["TUNING_PARAM_X"] == "0.5"
    about = json.loads(stable["data"]["about.json"])
    assert (about["optunaStudy"], about["round"], about["trial"], about["metrics"]) == (
        "team/digits/uid-1/r1", 1, 0, {"accuracy": 0.5},
    )  # fmt: skip


async def test_better_parameters_replace_them_and_worse_ones_do_not(world: Promoting) -> None:
    await world.finish_round(0.5)
    await world.settle()
    await world.retune(0.7)
    await world.settle()
    assert world.serving == 0.7
    await world.retune(0.6)
    await world.settle()
    assert world.serving == 0.7
    assert (world.promotion["state"], world.cluster.status["rounds"][-1]["outcome"]) == ("Stable", "NoBetter")


async def test_a_person_goes_back_and_the_record_says_who_and_why(world: Promoting) -> None:
    await world.finish_round(0.5)
    await world.settle()
    await world.retune(0.7)
    await world.settle()
    world.ask(ROLLBACK_ANNOTATION, reason="complaints")
    await world.settle()
    assert (world.serving, world.promotion["state"]) == (0.5, "RolledBack")
    told = [(line.kind, line.actor) for line in world.recorded() if not line.kind.startswith("Round")]
    assert told == [
        ("Verified", "the operator"),
        ("Promoting", "the operator"),
        ("Promoted", "the operator"),
        ("Verified", "the operator"),
        ("Promoting", "the operator"),
        ("Promoted", "the operator"),
        ("RollingBack", "ada"),
        ("RolledBack", "the operator"),
    ]
    better = next(gate for line in world.recorded() for gate in line.evidence.get("gates", ()) if "0.7" in str(gate))
    assert better["name"] == "Better" and "accuracy 0.5 → 0.7" in better["message"]


async def test_an_operator_that_ends_at_any_moment_does_everything_once(rolling: Promoting) -> None:
    async def restless(looks: int = 10) -> None:
        for _ in range(looks):
            rolling.restart()
            await rolling.look()
            rolling.cluster.set_rollout("digits-api")

    await rolling.finish_round(0.5)
    await restless()
    await rolling.retune(0.7)
    await restless()
    rolling.ask(ROLLBACK_ANNOTATION)
    await restless()
    assert (rolling.serving, rolling.promotion["state"]) == (0.5, "RolledBack")
    assert [line.kind for line in rolling.recorded()].count("Promoted") == 2
    assert rolling.cluster.wrote.count("apply to Deployment") == 3


async def test_a_status_that_is_not_written_changes_nothing_twice(rolling: Promoting) -> None:
    await rolling.finish_round(0.5)
    for _ in range(4):
        rolling.cluster.fails["write_status"] = [Conflict("409", 409)]
        with suppress(Conflict):
            await rolling.look()
        await rolling.look()
        rolling.cluster.set_rollout("digits-api")
    await rolling.settle()
    assert rolling.promotion["state"] == "Stable"
    told = [line.kind for line in rolling.recorded() if not line.kind.startswith("Round")]
    assert told == ["Verified", "Candidate", "Promoting", "Promoted"]


async def test_of_what_cannot_be_read_nothing_is_decided(rolling: Promoting) -> None:
    """flagger#989: one read that failed, while etcd chose a leader, began a canary."""
    await rolling.finish_round(0.5)
    rolling.cluster.fails["read_deployment"] = [ClusterError("etcdserver: leader changed", 500)] * 20
    while rolling.cluster.fails["read_deployment"]:
        with suppress(ClusterError):
            await rolling.look()
    assert ("ConfigMap", STABLE) not in rolling.cluster.objects
    assert not any("Deployment" in written for written in rolling.cluster.wrote)
    await rolling.settle()
    assert (rolling.serving, rolling.promotion["state"]) == (0.5, "Promoting")


async def test_a_conflict_is_told_once_and_nothing_is_changed(rolling: Promoting) -> None:
    rolling.cluster.fails["apply_to_target"] = [Conflict("another manager owns it", 409)] * 10
    await rolling.finish_round(0.5)
    await rolling.settle(8)
    assert ("ConfigMap", STABLE) not in rolling.cluster.objects
    assert rolling.promotion["state"] == "Held"
    assert rolling.promotion["message"].startswith("TargetConflict: the Deployment digits-api has another owner")
    assert [line.kind for line in rolling.recorded()].count("Held") == 1
    rolling.cluster.wrote.clear()
    await rolling.settle(2)
    assert rolling.cluster.wrote == []
    rolling.cluster.fails.clear()
    await rolling.settle(4)
    rolling.cluster.set_rollout("digits-api")
    await rolling.settle()
    assert rolling.promotion["state"] == "Stable"


@pytest.mark.parametrize(
    ("deployment", "reason"),
    [
        ({"promotable": None}, "TargetNotPromotable"),
        ({"promotable": "false"}, "TargetNotPromotable"),
        (None, "TargetMissing"),
    ],
)
async def test_only_a_target_that_says_so_is_rolled(
    postgres_url: str, deployment: dict[str, Any] | None, reason: str
) -> None:
    world = Promoting(postgres_url, promotion={"mode": "Automatic", "target": TARGET})
    if deployment is not None:
        world.cluster.add_deployment("digits-api", **deployment)
    await world.finish_round(0.5)
    await world.settle()
    assert world.promotion["state"] == "Held" and world.promotion["message"].startswith(reason)
    assert "apply to Deployment" not in world.cluster.wrote


async def test_a_right_that_the_operator_lacks_names_the_charts_value(rolling: Promoting) -> None:
    rolling.cluster.fails["read_deployment"] = [Forbidden("403", 403)] * 20
    await rolling.finish_round(0.5)
    await rolling.settle()
    assert "promotion.targets" in rolling.promotion["message"]


async def test_a_person_promotes_in_manual_mode(postgres_url: str) -> None:
    world = Promoting(postgres_url, promotion={"mode": "Manual"})
    await world.finish_round(0.5)
    await world.settle()
    assert ("ConfigMap", STABLE) not in world.cluster.objects
    world.ask(PROMOTE_ANNOTATION, reason="looks fine")
    await world.settle()
    assert world.serving == 0.5


async def test_lines_of_the_record_are_never_changed(world: Promoting) -> None:
    await world.finish_round(0.5)
    await world.settle()
    engine = create_engine(driver_url(world.url))
    with pytest.raises(DBAPIError, match="never changed"), engine.begin() as connection:
        connection.execute(text("UPDATE tuning_admin.record SET actor = 'nobody'"))
    engine.dispose()


async def test_a_namespace_reads_its_own_record_and_writes_none(world: Promoting) -> None:
    await world.finish_round(0.5)
    await world.settle()
    engine = create_engine(driver_url(world.cluster.objects["Secret", "tuning-store"]["stringData"]["url"]))
    for statement in ("INSERT INTO tuning_record (kind) VALUES ('Promoted')", "DELETE FROM tuning_record"):
        with pytest.raises(DBAPIError), engine.begin() as connection:
            connection.execute(text(statement))
    with pytest.raises(DBAPIError, match="denied"), engine.begin() as connection:
        connection.execute(text("SELECT * FROM tuning_admin.record"))
    engine.dispose()


def test_promotion_without_verification_is_refused_with_what_to_write() -> None:
    with pytest.raises(Exception, match="only verified parameters are promoted: add `verification"):
        read_spec(make_manifest_spec(promotion={"mode": "Automatic"}))


async def test_nothing_is_written_once_it_is_settled(rolling: Promoting) -> None:
    await rolling.finish_round(0.5)
    for _ in range(4):
        await rolling.look()
        rolling.cluster.set_rollout("digits-api")
    await rolling.settle()
    rolling.cluster.wrote.clear()
    await rolling.settle(20)
    assert rolling.cluster.wrote == []


@pytest.mark.parametrize(("seconds", "anew"), [(-60, False), (60, True)])
async def test_pods_of_before_that_started_during_a_promotion_are_not_taken_for_such(
    rolling: Promoting, seconds: int, anew: bool
) -> None:
    """They have the parameters of before in their template, and have read the candidate's."""
    await rolling.finish_round(0.5)
    await rolling.settle()
    rolling.cluster.set_rollout("digits-api")
    await rolling.settle()
    stable = rolling.promotion["stable"]
    await rolling.retune(0.9)
    await rolling.settle()
    assert rolling.promotion["state"] == "Promoting"
    started = datetime.fromisoformat(rolling.promotion["changed"]) + timedelta(seconds=seconds)
    rolling.cluster.pods = [served_by("old", stable, started)]
    rolling.cluster.set_rollout("digits-api", stuck=True)
    await rolling.settle()
    template = rolling.cluster.objects["Deployment", "digits-api"]["spec"]["template"]
    written = template["metadata"]["annotations"][PARAMETERS_ANNOTATION]
    assert written.startswith(f"{stable}@" if anew else stable) and (written == stable) is not anew
    rolling.cluster.set_rollout("digits-api")
    await rolling.settle()
    assert (rolling.promotion["state"], rolling.serving) == ("RolledBack", 0.5)


def served_by(name: str, parameters: str, started: datetime) -> dict[str, Any]:
    """A pod that was made long ago, whose container has started then."""
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {PARAMETERS_ANNOTATION: parameters},
        },
        "status": {"containerStatuses": [{"name": "main", "state": {"running": {"startedAt": started.isoformat()}}}]},
    }


def hooks(world: Promoting) -> dict[str, str]:
    """The Jobs that bring parameters to production, and whose they bring."""
    return {
        name: job["metadata"]["annotations"][PARAMETERS_ANNOTATION]
        for name, job in world.cluster.jobs.items()
        if "-promote-" in name
    }


def end(world: Promoting, name: str, kind: str = "Complete") -> None:
    world.cluster.set_job_status(name, conditions=[{"type": kind, "status": "True", "message": "it ended"}])


async def test_where_nothing_else_does_a_job_brings_parameters_to_production_and_back(hooked: Promoting) -> None:
    await hooked.finish_round(0.5)
    await hooked.settle()
    assert hooked.promotion["state"] == "Promoting" and hooked.serving == 0.5
    [first] = hooks(hooked)
    [container] = hooked.cluster.jobs[first]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": hooks(hooked)[first]}}]
    end(hooked, first)
    await hooked.settle()
    assert hooked.promotion["state"] == "Stable"

    await hooked.retune(0.9)
    await hooked.settle()
    [second] = set(hooks(hooked)) - {first}
    end(hooked, second, "Failed")
    await hooked.settle()
    assert hooked.promotion["state"] == "RollingBack" and hooked.serving == 0.5
    [third] = set(hooks(hooked)) - {first, second}
    assert hooks(hooked)[third] == hooks(hooked)[first]
    end(hooked, third, "Failed")
    await hooked.settle()
    told = f"it ended; delete the Job {third} to have it run again"
    assert hooked.promotion["message"].endswith(told)
    del hooked.cluster.objects["Job", third]
    await hooked.settle()
    end(hooked, third)
    await hooked.settle()
    assert hooked.promotion["state"] == "RolledBack"
    assert "the rollout of" in hooked.promotion["rolledBack"][0]["reason"]


CANARY = {"metrics": [{"name": "errors", "bad": "bad{ {{variant}} }", "total": "total{ {{variant}} }"}]}


@pytest.fixture
def beside(postgres_url: str) -> Promoting:
    made = Promoting(postgres_url, promotion={"mode": "Automatic", "target": TARGET, "canary": CANARY})
    made.cluster.add_deployment("digits-api")
    container = {"name": "main", "envFrom": [{"configMapRef": {"name": STABLE}}]}
    made.cluster.objects["Deployment", "digits-api"]["spec"]["template"]["spec"] = {"containers": [container]}
    return made


async def test_a_canary_whose_pods_may_not_be_taken_away_is_told_as_that_and_goes_once_they_may(
    beside: Promoting,
) -> None:
    await beside.finish_round(0.5)
    await beside.settle()
    beside.cluster.set_rollout("digits-api")
    await beside.settle()
    assert beside.promotion["state"] == "Stable"
    await beside.retune(0.9)
    await beside.settle()
    assert beside.promotion["state"] == "Canary"
    name = beside.promotion["canary"]["deployment"]
    assert ("Deployment", name) in beside.cluster.objects

    beside.cluster.fails["delete_deployment"] = [Forbidden("403", 403)] * 3
    beside.ask(ROLLBACK_ANNOTATION)
    await beside.settle(3)
    assert "WorkersRefused" not in beside.cluster.reasons
    assert beside.promotion["state"] == "RolledBack" and ("Deployment", name) in beside.cluster.objects
    await beside.settle()
    assert ("Deployment", name) not in beside.cluster.objects
    assert "deployment" not in beside.promotion["canary"] and beside.serving == 0.5
