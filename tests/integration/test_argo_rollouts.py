"""Parameters that go to production by a Rollout, whose pods the real controller of Argo Rollouts rolls."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from integration.argo_rollouts import ArgoRollouts, Watched, owned, rollout, steps
from integration.harness import ControlPlane, FakeNode, Kube
from integration.operator_fixtures import Studies
from integration.services import Operator
from integration.serving import Load, in_production, promoting_study, serves
from integration.studies import Study
from tuning_kube.names import PARAMETERS_ANNOTATION, PROMOTION_MANAGER

Object = dict[str, Any]

FOLDER = os.environ.get("ARGO_ROLLOUTS", "")
pytestmark = pytest.mark.skipif(
    not FOLDER,
    reason="no Argo Rollouts: set ARGO_ROLLOUTS to a folder with its program rollouts-controller and its *-crd.yaml",
)

HALF: Object = {"setWeight": 50}
MOMENT: Object = {"pause": {"duration": "2s"}}
TILL_TOLD: Object = {"pause": {}}


@pytest.fixture(scope="module")
def argo_rollouts(control_plane: ControlPlane) -> Iterator[ArgoRollouts]:
    with ArgoRollouts(control_plane, Path(FOLDER)) as running:
        yield running


class Api:
    """A Rollout `api` whose two pods serve with x=0.2, and the study whose rounds bring it others."""

    def __init__(self, study: Study, kube: Kube, load: Load, optimum: Path, watched: Watched) -> None:
        self.study, self.kube, self.load, self.watched = study, kube, load, watched
        self._optimum = optimum

    def tune(self, x: str) -> None:
        """A round in which this x is best."""
        self._optimum.write_text(x)
        self.study.ask_for_a_round(f"x={x}")

    def go_by(self, *wanted: Object) -> None:
        self.kube.patch("Rollout", "api", steps(*wanted))
        self.wait(lambda body: body["status"]["phase"] == "Healthy" and is_seen(body), "with these steps")

    def wait(self, predicate: Any, what: str) -> Object:
        body: Object = self.kube.wait_for(partial(self.kube.get, "Rollout", "api"), predicate, 60, what)
        return body

    def promote(self) -> None:
        """As `kubectl argo rollouts promote` does."""
        self.kube.patch("Rollout", "api", {"status": {"pauseConditions": None}}, subresource="status")

    def abort(self) -> None:
        """As `kubectl argo rollouts abort` does."""
        self.kube.patch("Rollout", "api", {"status": {"abort": True}}, subresource="status")

    def wait_for_pause(self, state: str) -> Object:
        """Until it is told of a rollout, or of the way back; returns the promotion."""

        def told(status: Object) -> bool:
            promotion: Object = status["promotion"]
            return promotion["state"] == state and "it is paused" in promotion["message"]

        promotion: Object = self.study.wait(told, f"{state}, and told of the pause", 60)["promotion"]
        return promotion

    def wait_until_rolled_back(self) -> str:
        """Returns why."""
        status = self.study.wait(lambda status: status["promotion"]["state"] == "RolledBack", "rolled back", 60)
        reason: str = status["promotion"]["rolledBack"][-1]["reason"]
        return reason

    @property
    def pods(self) -> list[int]:
        """How many served, in all states that were seen."""
        return [state["status"]["availableReplicas"] for state in self.watched.states]


def is_seen(body: Object) -> bool:
    return str(body["status"]["observedGeneration"]) == str(body["metadata"]["generation"])


@pytest.fixture
def api(
    argo_rollouts: ArgoRollouts,
    promotion_rights: None,
    control_plane: ControlPlane,
    kube: Kube,
    studies: Studies,
    tmp_path: Path,
) -> Iterator[Api]:
    found, optimum = tmp_path / "found", tmp_path / "optimum"
    found.mkdir()
    optimum.write_text("0.2")
    manifest = promoting_study("model", optimum, [0.2, 0.5, 0.8], promotion={"target": {"rollout": {"name": "api"}}})
    kube.apply(rollout("api", "model", found))
    get = partial(kube.get, "Rollout", "api")
    kube.wait_for(get, lambda body: body["status"]["phase"] == "Healthy", 60, "the first two pods")
    with Load(found) as load:
        study = studies(manifest)
        in_production(study, "0.2", load)
        with Watched(control_plane, kube, "api") as watched:
            yield Api(study, kube, load, optimum, watched)


def test_a_rollout_goes_its_own_steps_and_then_the_parameters_are_in_production(api: Api) -> None:
    api.go_by(HALF, MOMENT)
    before = api.wait(is_seen, "seen")
    api.tune("0.5")
    in_production(api.study, "0.5", api.load)
    after = api.kube.get("Rollout", "api")
    assert after["status"]["phase"] == "Healthy" and is_seen(after)
    assert "Paused" in [state["status"]["phase"] for state in api.watched.states]
    assert min(api.pods) == 2

    stable = api.study.status["promotion"]["stable"]
    before["spec"]["template"]["metadata"]["annotations"][PARAMETERS_ANNOTATION] = stable
    assert after["spec"] == before["spec"]
    annotation: Object = {"f:annotations": {f"f:{PARAMETERS_ANNOTATION}": {}}}
    [ours] = owned(after, PROMOTION_MANAGER)
    assert ours["fieldsV1"] == {"f:spec": {"f:template": {"f:metadata": annotation}}}


def test_pods_that_never_become_ready_are_not_in_production_and_those_of_before_go_on(api: Api, node: FakeNode) -> None:
    api.go_by(HALF, MOMENT)
    api.kube.patch("Rollout", "api", {"spec": {"progressDeadlineSeconds": 5}})
    room, node.takes = node.takes, lambda pod: "-r2-" not in str(pod["metadata"].get("annotations"))
    try:
        api.load.answers.clear()
        api.tune("0.5")
        assert "failed: ProgressDeadlineExceeded" in api.wait_until_rolled_back()
    finally:
        node.takes = room
    assert api.load.answers == {"0.2"} and min(api.pods) == 2
    assert [reason for reason, _ in api.study.events].count("Promoted") == 1
    serves(api.study, "0.2", api.load)
    assert api.kube.get("Rollout", "api")["status"]["phase"] == "Healthy"


def test_one_that_waits_for_a_person_is_told_and_written_to_by_nobody_of_ours(api: Api, operator: Operator) -> None:
    api.go_by(HALF, TILL_TOLD)
    api.tune("0.5")
    promotion = api.wait_for_pause("Promoting")
    assert promotion["message"].endswith(
        "it is paused (CanaryPauseStep, step 2 of 2): `kubectl argo rollouts promote api` lets it go on"
    )

    looks = "tuning_reconcile_duration_seconds_count", ""
    paused, done, before = api.kube.get("Rollout", "api"), operator.log.count("acting"), operator.metrics()[looks]
    api.kube.wait_for(operator.metrics, lambda told: told[looks] >= before + 10, 60, "10 looks")
    assert operator.log.count("acting") == done
    assert (api.kube.get("Rollout", "api"), api.study.status["promotion"]) == (paused, promotion)

    api.promote()
    in_production(api.study, "0.5", api.load)


def test_what_a_person_aborts_is_rolled_back_by_pods_that_read_what_is_in_production(api: Api) -> None:
    """The controller starts pods of before again at once, which read the parameters of the canary."""
    api.go_by(HALF, TILL_TOLD)
    api.tune("0.5")
    api.wait_for_pause("Promoting")
    api.abort()
    assert "is not brought back yet" in api.wait_for_pause("RollingBack")["message"]
    api.promote()
    assert "failed: RolloutAborted" in api.wait_until_rolled_back()
    serves(api.study, "0.2", api.load)

    api.go_by(HALF)
    api.tune("0.8")
    in_production(api.study, "0.8", api.load)
    assert min(api.pods) == 2


def test_one_that_its_controller_refuses_holds_parameters_until_it_is_mended(api: Api) -> None:
    api.kube.patch("Rollout", "api", steps({}))
    api.wait(lambda body: body["status"]["phase"] == "Degraded" and is_seen(body), "that is refused")
    api.tune("0.5")
    promotion = api.study.wait(lambda status: status["promotion"]["state"] == "Held", "held", 60)["promotion"]
    assert promotion["message"].startswith('TargetInvalid: The Rollout "api" is invalid: spec.strategy.steps[0]')

    api.go_by(HALF)
    in_production(api.study, "0.5", api.load)
