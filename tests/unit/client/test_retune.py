"""`tuning retune`: one annotation holds one request, and no request takes the place of another that nobody has read."""

from collections.abc import Mapping
from typing import Any

import pytest

from tuning_client.cluster.retune import request_round
from tuning_client.exceptions import ClusterError, TuningError
from tuning_kube.names import RETUNE_ANNOTATION
from tuning_study.requests import RetuneRequest, annotation_digest

MINE, ALERT = RetuneRequest("mine", "new data"), RetuneRequest("alert", "accuracy fell", "Alert")


class Cluster:
    """One study, and an operator that reads its annotation at every `answers_every`-th look at it."""

    def __init__(self, standing: RetuneRequest | None = None, answers_every: int | None = 2) -> None:
        self._annotations = {RETUNE_ANNOTATION: standing.to_annotation("12:00")} if standing else {}
        self._retune: dict[str, Any] = {}
        self._looks, self._answers_every = 0, answers_every
        self.overtaken_once = False
        self.promotion: dict[str, Any] = {}
        self.read: list[str] = []

    def study(self, name: str) -> dict[str, Any]:
        self._looks += 1
        if self._answers_every is not None and self._looks % self._answers_every == 0:
            self._operator_reads()
        metadata = {"name": name, "resourceVersion": str(self._looks), "annotations": dict(self._annotations)}
        return {"metadata": metadata, "status": {"round": 2, "retune": dict(self._retune)} | self.promotion}

    def change_unchanged(self, study: dict[str, Any], patch: Mapping[str, Any]) -> bool:
        if self.overtaken_once:
            self.overtaken_once = False
            self._annotations[RETUNE_ANNOTATION] = ALERT.to_annotation("12:01")
            return False
        self._annotations.update(patch["metadata"]["annotations"])
        return True

    def _operator_reads(self) -> None:
        value = self._annotations.get(RETUNE_ANNOTATION)
        if value is None or annotation_digest(value) == self._retune.get("lastRequest"):
            return
        token = RetuneRequest.from_annotation(value).token
        self.read.append(token)
        first = len(self.read) == 1
        self._retune |= {"lastRequest": annotation_digest(value), "lastHandled": token}
        self._retune |= {"lastTaken": token, "lastOutcome": "Started"} if first else {"lastOutcome": "RoundRunning"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning_client.cluster.retune._LOOKS_EVERY", 0)


def test_the_answer_is_told() -> None:
    assert request_round(Cluster(), "digits", MINE, patience=5) == "taken: round 2 starts"


def test_an_alert_that_nobody_has_read_is_answered_first() -> None:
    cluster = Cluster(standing=ALERT)
    with pytest.raises(TuningError, match="not taken: RoundRunning"):
        request_round(cluster, "digits", MINE, patience=5)
    assert cluster.read == ["alert", "mine"]


def test_an_alert_that_comes_at_the_same_moment_is_answered_first() -> None:
    cluster = Cluster()
    cluster.overtaken_once = True
    with pytest.raises(TuningError, match="not taken: RoundRunning"):
        request_round(cluster, "digits", MINE, patience=5)
    assert cluster.read == ["alert", "mine"]


@pytest.mark.parametrize(
    ("standing", "said"),
    [(ALERT, "not asked: another request waits"), (None, "asked, and not answered within 0s")],
)
def test_without_an_operator_the_wait_ends(standing: RetuneRequest | None, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        request_round(Cluster(standing, answers_every=None), "digits", MINE, patience=0.1)


def test_what_is_waited_for_while_production_changes_is_told() -> None:
    cluster = Cluster(answers_every=None)
    cluster.promotion = {"promotion": {"state": "Canary", "message": "digits-params-r2-2222bbbb serves beside stable"}}
    with pytest.raises(ClusterError, match="a round begins once production has changed: Canary: digits-params-r2-2222"):
        request_round(cluster, "digits", MINE, patience=0.1)
