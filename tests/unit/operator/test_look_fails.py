"""A look that fails, whatever part of it, is told in a condition of the study; the loop looks again and forgets it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from builders import make_study
from tuning_kube.client import Cluster
from tuning_kube.errors import Conflict, Forbidden, Invalid, Unavailable
from tuning_operator.loops import Loops
from tuning_operator.reconcile import Reconciler

Object = dict[str, Any]
BODY: Object = make_study()
BODY["metadata"] |= {"namespace": "team", "uid": "uid-1", "generation": 3, "resourceVersion": "7"}


class StatusWrites(Cluster):
    """The two calls that tell a failure."""

    def __init__(self) -> None:
        self.statuses: list[Mapping[str, Any]] = []
        self.events: list[str] = []
        self.told = asyncio.Event()

    async def merge_status(self, namespace: str, name: str, fields: Mapping[str, Any], version: str) -> None:
        self.statuses.append(fields)
        self.told.set()

    async def record(self, study: Mapping[str, str], kind: str, reason: str, message: str, *_: Any, **__: Any) -> None:
        self.events.append(message)


class Failing(Reconciler):
    """Raises, look after look, one error."""

    def __init__(self, cluster: Cluster, error: Exception) -> None:
        self._cluster, self._error = cluster, error
        self.looks = 0

    def take_over(self, *_: Any) -> None:
        pass

    def forget(self, *_: Any) -> None:
        pass

    async def reconcile(self, *_: Any, **__: Any) -> timedelta:
        self.looks += 1
        raise self._error


async def look(error: Exception, body: Object = BODY, seconds: float = 3) -> StatusWrites:
    cluster = StatusWrites()
    loops = Loops()
    loops.saw_study(body, deleted=False)
    loops.lead(Failing(cluster, error))
    with suppress(TimeoutError):
        await asyncio.wait_for(cluster.told.wait(), seconds)
    await loops.stop()
    return cluster


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), ValueError("a text\x00 💥 \ud800"), Forbidden("403: pods"), Invalid("422"), RecursionError()],
)
async def test_a_study_whose_look_fails_says_so(error: Exception) -> None:
    cluster = await look(error)
    (condition,) = cluster.statuses[0]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Stalled", "True", "LookFailed")
    assert type(error).__name__ in condition["message"]
    assert condition["observedGeneration"] == 3
    assert cluster.events == [condition["message"]]


@pytest.mark.parametrize("error", [Unavailable("no answer"), Conflict("409")])
async def test_what_passes_by_itself_is_not_told(error: Exception) -> None:
    assert (await look(error, seconds=1.5)).statuses == []


async def test_other_conditions_stay_and_the_same_failure_is_told_once() -> None:
    first = await look(KeyError("x"))
    running = {
        "type": "Running",
        "status": "True",
        "reason": "RoundStarted",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    conditions = [running, *first.statuses[0]["conditions"]]
    told = {**BODY, "status": {"conditions": conditions}}
    assert (await look(KeyError("x"), told, seconds=1.5)).statuses == []
    other = await look(KeyError("y"), told)
    assert [entry["type"] for entry in other.statuses[0]["conditions"]] == ["Running", "Stalled"]
    assert other.statuses[0]["conditions"][1]["lastTransitionTime"] == conditions[1]["lastTransitionTime"]


@pytest.mark.parametrize("status", [None, {}, {"conditions": None}, {"conditions": [{}]}])
async def test_a_status_that_is_odd_itself_is_no_obstacle(status: Any) -> None:
    assert (await look(KeyError("x"), {**BODY, "status": status})).statuses
